"""EmbeddedQueue: the embedded store for programs without a reactor."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from snqd.core.job import Job
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.doorbell import Ringer, bells_of
from snqd.stores.interface import Depth, Pauses
from snqd.stores.sqlite.database import QueueDatabase


@implementer(IBlockingQueue)
class EmbeddedQueue:
    """The embedded queue with its doorbell."""

    def __init__(self, database: QueueDatabase) -> None:
        self._database = database
        self._ringer = Ringer(bells_of(database.file.path))

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        self._database.enqueue(jobs)
        self._ring()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        self._database.pause(queue, site, paused)
        self._ring()

    def pauses(self) -> Pauses:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return self._database.pauses()

    def depths(self) -> list[Depth]:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return self._database.depths()

    def exists(self) -> bool:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        return self._database.file.path.exists()

    def close(self) -> None:
        """See :class:`~snqd.stores.blocking.IBlockingQueue`."""
        self._database.close()

    def _ring(self) -> None:
        try:
            self._ringer.ring()
        except OSError:
            return  # what was committed is found without the bell, a little later
