"""``snqctl stop``, ``pause`` and ``resume``."""

from __future__ import annotations

import click

from snqd.ops.control import call
from snqd.sites.targets import check_known_queue
from snqd.snqctl.broadcast import DONE, FAILED, broadcast
from snqd.snqctl.invocation import Invocation, WrongUse, complain, local_option, say
from snqd.stores.factory import control_channel_of


@click.command()
@local_option
@click.pass_obj
def stop(invocation: Invocation, local: bool) -> int:
    """Stop every daemon on the store: it takes no more jobs, ends those in hand, and gives back what is left.

    Where the configuration is wrong this host's daemon is stopped, and no other.
    """
    in_spite = invocation.lenient_settings()

    def here() -> None:
        daemon = (in_spite or invocation.settings).daemon
        call(daemon.control, "stop")
        say(f"stopping: jobs in hand get {daemon.drain_timeout:g} s to end")

    if in_spite is None:
        return broadcast(invocation, "stop", here, local=local)
    here()
    if local or control_channel_of(in_spite) is None:
        return DONE
    complain(f"other hosts' daemons are not told: mend {in_spite.path} first, or stop them there")
    return FAILED


@click.command()
@click.argument("queue", required=False)
@click.option("--site", metavar="SITE", help="Only this site's jobs; without a QUEUE, those of all its queues.")
@click.pass_obj
def pause(invocation: Invocation, queue: str | None, site: str | None) -> None:
    """Take no more jobs of QUEUE, or of a site, until they are resumed. Survives restarts."""
    say(f"paused {_set_paused(invocation, queue, site, True)}")


@click.command()
@click.argument("queue", required=False)
@click.option("--site", metavar="SITE", help="This site's pause, and no other.")
@click.pass_obj
def resume(invocation: Invocation, queue: str | None, site: str | None) -> None:
    """Go on taking jobs of QUEUE, or of a site: undoes the pause that was given in the same words."""
    say(f"resumed {_set_paused(invocation, queue, site, False)}")


def _set_paused(invocation: Invocation, queue: str | None, site: str | None, paused: bool) -> str:
    if queue is None and site is None:
        raise WrongUse("say what: a QUEUE, --site SITE, or both")
    invocation.check_names(site, queue)
    if paused:
        _check_known(invocation, queue, site)
    with invocation.store() as store:
        store.pause(queue, site, paused)
    parts = [f"queue {queue}" if queue else "", f"site {site}" if site else ""]
    return " of ".join(part for part in parts if part)


def _check_known(invocation: Invocation, queue: str | None, site: str | None) -> None:
    # A pause of what is no longer configured can always be taken back.
    if queue is not None:
        check_known_queue(invocation.settings, queue)
    if site is not None:
        invocation.sites.get(site)
