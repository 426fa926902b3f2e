"""IBlockingQueue: a store's side for programs without a reactor: snqctl, and those that only enqueue."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from snqd.core.job import Job
from snqd.stores.interface import Depth, Pauses


class IBlockingQueue(Interface):
    """One thread at a time; opened by its first use.

    Every method but `close` raises :class:`~snqd.core.errors.StoreError` where the store does not take part.
    """

    def enqueue(jobs: Sequence[Job]) -> None:
        """Accept `jobs`, all or none (a broker takes them one by one).

        They are durable at return, and the children know of them.

        :raises Unconfirmed: where they were sent, and the store has not said of all of them whether it has them.
        """

    def pause(queue: str | None, site: str | None, paused: bool) -> None:
        """Stop, or go on, handing out jobs; see :meth:`snqd.stores.interface.ISteering.pause`."""

    def pauses() -> Pauses:
        """What is paused."""

    def depths() -> list[Depth] | None:
        """What waits, by queue and site; None where the store can't tell."""

    def exists() -> bool:
        """False where nobody has needed the store yet, so that whoever only looks need not make it."""

    def close() -> None:
        """Disconnect; using it again is fine."""
