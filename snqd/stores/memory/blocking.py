"""MemoryBlockingQueue: the jobs in memory for code that does not wait for the reactor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from snqd.core.clocks import UnixTime, unix_time
from snqd.core.job import Job
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.interface import Depth, Pauses
from snqd.stores.memory.queue import MemoryQueue


@implementer(IBlockingQueue)
class MemoryBlockingQueue:
    """See :class:`~snqd.stores.blocking.IBlockingQueue`; for the reactor's own thread, since the stores live there.

    :param now: tells the time, in Unix seconds.
    """

    def __init__(self, queue: MemoryQueue, now: Callable[[], UnixTime] = unix_time) -> None:
        self._queue = queue
        self._now = now

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        self._queue.add(jobs)
        self._queue.tell()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        self._queue.pause(queue, site, paused)
        self._queue.tell()

    def pauses(self) -> Pauses:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return self._queue.pauses()

    def depths(self) -> list[Depth]:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return list(self._queue.depths(self._now()))

    def exists(self) -> bool:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return True

    def close(self) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
