"""IIoManager: what an IoMaster runs, and all that it knows of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import Attribute, Interface

T = TypeVar("T")
Eventually = Deferred[T] | Coroutine[Any, Any, T]
"""What a method returns that may be a coroutine, or return a Deferred."""


def eventually(method: Callable[..., Eventually[T]], *args: Any) -> Deferred[T]:
    """Call it; fires with its result, or fails with what it raised, at once or later."""
    return maybeDeferred(cast(Callable[..., Deferred[T]], method), *args)


class Scope(Enum):
    """How many instances of a manager run; StatusNet's constants. A factory says it in its attribute `scope`."""

    SINGLE_ONLY = "single only"
    """One in the whole daemon, in the first child of its group; one on all hosts that share a store."""
    INSTANCE_PER_SITE = "instance per site"
    """In every child of its group one for each site; `IoContext.site` says which."""
    INSTANCE_PER_PROCESS = "instance per process"
    """One in every child of its group, for all sites."""


class Master(Protocol):
    """What a manager may ask of the IoMaster that runs it."""

    def working(self, substate: str = "") -> None:
        """Say that there is work, so that idle calls wait; `substate` is for the monitor, such as a queue's name."""

    def leave(self, exit_code: int) -> None:
        """End this process in good order; exit code 0, 100 (shuts the daemon down) or 101 (a fresh process comes)."""


class Reporting(Protocol):
    """A manager that has figures for the daemon's status."""

    def report(self) -> Mapping[str, Any]:
        """`in_flight` (a number), `claimed` and `unsettled` (mappings of queues to numbers of jobs that have not begun,
        and that have ended and are not durable yet), `solo_waiting` (whether suspects wait to run alone), `trouble`
        (why its store does not take part, None while it does), `shares` (rows ``[queue, site, jobs in flight]``) and
        `holder` (the process that runs what the farm has but once, empty while that is not known), as far as the
        manager has them.
        """


class IIoManager(Interface):
    """One source of work within a child. One that is a Twisted service is attached to the IoMaster before `start`."""

    name = Attribute("Its name for the log and for error messages.")
    scope = Attribute("A Scope.")
    poll_interval = Attribute("Longest wait between two polls in seconds; 0 or None if there is nothing to poll.")

    def start(master: Master) -> Eventually[Any]:
        """Get ready to work; a failure is a boot failure of the whole child."""

    def poll() -> Eventually[bool]:
        """Look for work once and do it; fires with whether there was any. Never called twice at a time."""

    def idle() -> None:
        """Called once a second while no manager of the child has anything to do."""

    def reloaded(added: Sequence[str], changed: Sequence[str], removed: Sequence[str]) -> None:
        """A changed configuration holds from now on. The nicknames are of sites that are new, that say something else,
        and that are no more; all three may be empty. Called from the beginning of `start`."""

    def quiet() -> None:
        """Claim nothing new from now on."""

    def drain(timeout: float) -> Eventually[Any]:
        """Finish what is in hand within `timeout` seconds, then give back what is left."""

    def stop() -> Eventually[Any]:
        """Let go of everything; called once, after `drain`, or alone if the start of a later manager failed."""
