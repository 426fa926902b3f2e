"""Parts: what a child is put together from, and the shape of the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.io.io_master import IoMaster
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.commands import Responders


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


class Parent(Protocol):
    """The parent, as the parts of a child see it. What is told to one that is dead is lost."""

    def heard(self, body: bytes, way: str, /) -> Any:
        """A message came on the control channel, by `way`."""

    def refresh_sites(self) -> Any:
        """The sites should be looked up again."""


@attrs.frozen
class Parts:
    """A child that is assembled and not started yet.

    :ivar counters: taken with every heartbeat.
    :ivar at_work: by command what does it, while the IoMaster is up.
    :ivar prepare: makes what other settings need; raises a SnqdError that says why that can't be.
    """

    io_master: IoMaster
    counters: Counters
    at_work: Responders = attrs.field(factory=dict)
    prepare: Callable[[Settings], Switch] = _nothing_to_prepare


Builder = Callable[[Any, Settings, ChildSpec, Parent], Parts]
"""Called with the reactor, the settings, the child's spec and its parent; what it raises is a boot failure."""
