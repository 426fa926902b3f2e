"""``snqctl status``: what runs and what waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from snqd.config.settings import Settings
from snqd.core.errors import DaemonNotRunning, StoreError
from snqd.ops.control import call
from snqd.snqctl.invocation import Invocation, complain, say_json
from snqd.snqctl.report import StoreReport, report
from snqd.stores.interface import Pauses


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> int:
    """Show the daemon, its children, the queues and the busiest sites.

    Exit code 1 if no daemon runs; what waits is shown all the same. Where the configuration is wrong only what the
    daemon says is shown, and the exit code is 2.
    """
    in_spite = invocation.lenient_settings()
    settings = in_spite or invocation.settings
    answer = ask(settings, complain)
    backlog = look(invocation, complain) if in_spite is None else None
    document = report(settings, answer, backlog)
    if as_json:
        say_json(document)
    else:
        from snqd.snqctl.tables import console, show_status

        show_status(document, console())
    if in_spite is not None:
        return 2
    return 0 if answer is not None and backlog is not None else 1


def ask(settings: Settings, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """The daemon's answer; without one, `tell` hears why."""
    try:
        return call(settings.daemon.control, "status")
    except DaemonNotRunning as error:
        tell(str(error))
        return None


def look(invocation: Invocation, tell: Callable[[str], None]) -> StoreReport | None:
    """What waits in the store; if it can't be read, `tell` hears why."""
    try:
        with invocation.store() as store:
            return StoreReport(store.depths(), store.pauses()) if store.exists() else StoreReport([], Pauses())
    except StoreError as error:
        tell(str(error))
        return None
