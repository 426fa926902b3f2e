"""``snqctl log-level``: how much the running daemon logs."""

from __future__ import annotations

import click

from snqd.ops.control import call
from snqd.pipe.log_levels import WORDS
from snqd.snqctl.invocation import Invocation, say


@click.command("log-level")
@click.argument("namespace")
@click.argument("level", type=click.Choice(WORDS), metavar="LEVEL")
@click.pass_obj
def log_level(invocation: Invocation, namespace: str, level: str) -> None:
    """Log what comes from NAMESPACE, such as snqd.queues, from LEVEL on.

    A namespace holds all that are within it; "" holds everything, and begins with info. It reaches the daemon and all
    of its children, and those that start later; the next daemon begins anew.
    """
    call(invocation.settings.daemon.control, "log-level", namespace=namespace, level=level)
    say(f"{namespace or 'everything'} is logged from {level} on")
