"""BlockingQueue: a store's side for programs without a reactor: snqctl, and those that only enqueue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from snqd.core.job import Job
from snqd.stores.doorbell import Ringer, bells_of
from snqd.stores.interface import Depth, Pauses
from snqd.stores.sqlite.database import QueueDatabase


class BlockingQueue(Protocol):
    """One thread at a time; opened by its first use.

    Every method but `close` raises :class:`~snqd.core.errors.StoreError` where the store does not take part.
    """

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """Accept `jobs`, all or none; they are durable at return, and the children know of them.

        :raises Unconfirmed: where they were sent, and the store has not said of all of them whether it has them.
        """

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """Stop, or go on, handing out jobs; see :meth:`snqd.stores.interface.IStore.pause`."""

    def pauses(self) -> Pauses:
        """What is paused."""

    def depths(self) -> list[Depth] | None:
        """What waits, by queue and site; None where the store can't tell."""

    def exists(self) -> bool:
        """False where nobody has needed the store yet, so that whoever only looks need not make it."""

    def close(self) -> None:
        """Disconnect; using it again is fine."""


class EmbeddedQueue:
    """The embedded queue with its doorbell."""

    def __init__(self, database: QueueDatabase) -> None:
        self._database = database
        self._ringer = Ringer(bells_of(database.file.path))

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """See :class:`BlockingQueue`."""
        self._database.enqueue(jobs)
        self._ring()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """See :class:`BlockingQueue`."""
        self._database.pause(queue, site, paused)
        self._ring()

    def pauses(self) -> Pauses:
        """See :class:`BlockingQueue`."""
        return self._database.pauses()

    def depths(self) -> list[Depth]:
        """See :class:`BlockingQueue`."""
        return self._database.depths()

    def exists(self) -> bool:
        """See :class:`BlockingQueue`."""
        return self._database.file.path.exists()

    def close(self) -> None:
        """See :class:`BlockingQueue`."""
        self._database.close()

    def _ring(self) -> None:
        try:
            self._ringer.ring()
        except OSError:
            return  # what was committed is found without the bell, a little later
