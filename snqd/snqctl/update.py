"""``snqctl update`` and ``restart``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from snqd.config.key import TakesEffect
from snqd.core.errors import ConfigError
from snqd.ops.control import call
from snqd.snqctl.broadcast import broadcast
from snqd.snqctl.invocation import Invocation, complain, local_option, say

UPDATE_TIMEOUT = 120.0
_NAMES_SHOWN = 8
_WHEN = {
    TakesEffect.AT_ONCE: "changed: {}",
    TakesEffect.IN_FRESH_CHILDREN: "takes effect with snqctl restart: {}",
    TakesEffect.IN_A_FRESH_DAEMON: "takes effect when the daemon is stopped and started: {}",
}


@click.command()
@click.argument("site", required=False)
@local_option
@click.pass_obj
def update(invocation: Invocation, site: str | None, local: bool) -> int:
    """Let every daemon on the store reload its configuration, or with SITE its sites alone.

    The old one stays in force if anything is wrong with the new one; then exit code 2, and a line for each problem of
    this host's. Other hosts' daemons log theirs.
    """
    invocation.check_names(site)

    def here() -> None:
        arguments = {} if site is None else {"site": site}
        answer = call(invocation.settings.daemon.control, "update", UPDATE_TIMEOUT, **arguments)
        _check(answer)
        for line in change_lines(answer):
            say(line)

    return broadcast(invocation, "update", here, site, local)


@click.command()
@local_option
@click.pass_obj
def restart(invocation: Invocation, local: bool) -> int:
    """Let every daemon on the store replace its children by fresh ones, one after the other; waits for this host's.

    They have the code and the configuration of now. A fresh child that can't come up ends it: exit code 1, and the
    others go on.
    """

    def here() -> None:
        answer = call(invocation.settings.daemon.control, "restart", None)
        _check(answer)
        count = answer["replaced"]
        say(f"restarted: {'1 child was' if count == 1 else f'{count} children were'} replaced")

    return broadcast(invocation, "restart", here, local=local)


def _check(answer: Mapping[str, Any]) -> None:
    if answer["problems"]:
        if answer.get("traceback"):
            complain(answer["traceback"].rstrip())
        raise ConfigError(answer["problems"])


def change_lines(answer: Mapping[str, Any]) -> list[str]:
    """What an update did, for people."""
    if not answer["changed"]:
        return ["nothing has changed"]
    lines = [text.format(", ".join(keys)) for when, text in _WHEN.items() if (keys := answer[when.value])]
    if answer.get("children"):  # a daemon of an earlier version says nothing of them
        lines.append(f"children that lagged behind are brought up to date: {_listed(answer['children'])}")
    return lines + [f"sites {what}: {_listed(names)}" for what, names in answer["sites"].items() if names]


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
