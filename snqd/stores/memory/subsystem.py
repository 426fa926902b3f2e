"""MemorySubsystem: the door to jobs in memory, which no configuration chooses: for tests, and for trying things out."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from zope.interface import implementer

from snqd.stores.interface import Promises
from snqd.stores.memory.blocking import MemoryBlockingQueue
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.memory.store import MemoryStore
from snqd.stores.subsystem import ISubsystem, StoreContext


@implementer(ISubsystem)
@attrs.frozen
class MemorySubsystem:
    """Jobs in one :class:`MemoryQueue`; the stores on it stand for as many processes.

    :ivar queue: where they lie.
    """

    queue: MemoryQueue = attrs.field(factory=MemoryQueue)
    name = "memory"
    place = "the memory of this process"

    @property
    def promises(self) -> Promises:
        """See :attr:`ISubsystem.promises`."""
        return MemoryStore.promises

    def store(self, context: StoreContext) -> MemoryStore:
        """See :meth:`ISubsystem.store`."""
        return MemoryStore(context.reactor, context.owner, self.queue)

    def blocking_queue(self) -> MemoryBlockingQueue:
        """See :meth:`ISubsystem.blocking_queue`."""
        return MemoryBlockingQueue(self.queue)

    def problems(self) -> Iterable[str]:
        """See :meth:`ISubsystem.problems`."""
        return ()

    def notes(self) -> Iterable[tuple[str, str]]:
        """See :meth:`ISubsystem.notes`."""
        return ()
