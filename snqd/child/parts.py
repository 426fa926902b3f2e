"""Parts: what a child is put together from, and the shape of the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred

from snqd.child.command_listener import CommandListener
from snqd.child.unknown_sites import UnknownSites
from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.io.io_master import IoMaster
from snqd.pipe.child_spec import ChildSpec


class Switch(Protocol):
    """Another configuration, everything that it needs made and nothing of it in use; one of the two is called, once."""

    def commit(self) -> None:
        """Go over to it. Must not fail; jobs that run end as they began."""

    def drop(self) -> None:
        """Let go of what was made."""


class NoSwitch:
    """For parts to which the configuration means nothing."""

    def commit(self) -> None:
        """Nothing changes."""

    def drop(self) -> None:
        """Nothing was made."""


def _nothing_to_prepare(settings: Settings) -> Switch:
    return NoSwitch()


@attrs.frozen
class Parts:
    """A child that is assembled and not started yet.

    :ivar counters: taken with every heartbeat.
    :ivar recover: frees in the store what the dead process `owner` held, given (owner, suspects, cause); fires with the
        number of jobs once that is durable. Not called before the IoMaster is up.
    :ivar wake: looks for work now.
    :ivar prepare: makes what other settings need; raises a SnqdError that says why that can't be.
    :ivar missed_sites: told of sites that jobs belong to and that are not configured.
    :ivar command_listener: hears commands to all daemons on the store, None where there is nobody to hear.
    """

    io_master: IoMaster
    counters: Counters
    recover: Callable[[str, Sequence[str], str], Deferred[int]]
    wake: Callable[[], Any]
    prepare: Callable[[Settings], Switch] = _nothing_to_prepare
    missed_sites: UnknownSites | None = None
    command_listener: CommandListener | None = None


Builder = Callable[[Any, Settings, ChildSpec], Parts]
"""Called with the reactor, the settings and the child's spec; what it raises is a boot failure."""
