"""Parts: what a child is put together from, and the shape of the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs

from snqd.child.farm_lease_keeper import FarmLeaseKeeper
from snqd.child.switch import Participant
from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.io.io_master import IoMaster
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.commands import Responders


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
    :ivar once: holds the lease that this child needs before it starts what the whole farm has but once; None where it
        needs none.
    :ivar participants: those that follow the configuration, in the order in which they go over to another one.
    """

    io_master: IoMaster
    counters: Counters
    at_work: Responders = attrs.field(factory=dict)
    participants: Sequence[Participant] = ()
    once: FarmLeaseKeeper | None = None


Builder = Callable[[Any, Settings, ChildSpec, Parent], Parts]
"""Called with the reactor, the settings, the child's spec and its parent; what it raises is a boot failure."""
