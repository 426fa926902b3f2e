"""A store that lives and dies with its process: for tests of what works on stores, and for trying things out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from snqd.core.clocks import UnixTime, unix_time
from snqd.core.job import Job
from snqd.stores.interface import Claim, Depth, IStore, Pauses, Promise, Promises, Receipt, Want
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.share_out import share_out

T = TypeVar("T")


@implementer(IStore)
class MemoryStore:
    """Jobs in memory; nothing outlives the process, and a lease has nobody to expire for.

    :param reactor: wakes it, at the end of the turn in which something has changed.
    :param owner: the name under which others recover what this store has claimed.
    :param queue: shared by stores that stand for several processes.
    """

    promises = Promises({Promise.DURABLE: "its jobs lie in the memory of the process"})
    trouble: str | None = None

    def __init__(
        self,
        reactor: IReactorTime,
        owner: str = "memory",
        queue: MemoryQueue | None = None,
        unix_time: Callable[[], UnixTime] = unix_time,
    ) -> None:
        self._unix_time = unix_time
        self._reactor = reactor
        self._owner = owner
        self._queue = queue or MemoryQueue()
        self._cursors: dict[str, str] = {}
        self._wake_call: Any = None

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        """See :meth:`IStore.open`."""
        self._wake = wake
        self._queue.listeners.append(self._schedule_wake)
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See :meth:`IStore.close`."""
        self._queue.listeners.remove(self._schedule_wake)
        if self._wake_call is not None:
            self._wake_call.cancel()
            self._wake_call = None
        return self.recover(self._owner, (), "").addCallback(lambda _: None)

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`."""
        self._queue.add(jobs)
        return self._changed(None)

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        """See :meth:`IStore.claim`."""
        next_due = self._queue.promote(self._unix_time())
        return succeed(self._take([key for queue, want in wants.items() for key in self._keys(queue, want)], next_due))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`."""
        next_due = self._queue.promote(self._unix_time())
        keys = sorted(key for queue, key in self._queue.next_suspects().items() if queue in queues)
        return succeed(self._take([] if self._queue.suspect_in_hand(queues) else keys[:1], next_due))

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        kept = self._queue.of(receipt)
        if kept is None:
            return succeed(False)
        self._queue.add(follow_ups)
        self._queue.remove(kept)
        return self._changed(True)

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        kept = self._queue.of(receipt)
        if kept is None:
            return succeed(False)
        due = self._unix_time() + delay
        attempt, solo = (kept.job.attempt + 1, False) if attempted else (kept.job.attempt, kept.job.solo)
        self._queue.free(kept, attempt=attempt, solo=solo, not_before=due, reason=reason)
        return self._changed(True)

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`."""
        for receipt in receipts:
            kept = self._queue.of(receipt)
            if kept is not None:
                self._queue.free(kept)
        return self._changed(None)

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`."""
        epoch = self._queue.forget(owner)
        claimed = self._queue.held_by(epoch) if epoch else []
        for kept in claimed:
            if kept.job.id in suspects:
                self._queue.free(kept, attempt=kept.job.attempt + 1, solo=True, reason=cause)
            else:
                self._queue.free(kept)
        return self._changed(len(claimed))

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        return succeed(None)

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        self._queue.pause(queue, site, paused)
        return self._changed(None)

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        return succeed(self._queue.pauses())

    def depths(self) -> Deferred[list[Depth]]:
        """See :meth:`IStore.depths`."""
        return succeed(list(self._queue.depths(self._unix_time())))

    def _keys(self, queue: str, want: Want) -> list[int]:
        offers = self._queue.offers(queue, want, self._cursors.get(queue, ""))
        taken = share_out(want.room, offers, want.held)
        if taken:
            self._cursors[queue] = [site for site, _ in offers if site in taken][-1]
        return [key for keys in taken.values() for key in keys]

    def _take(self, keys: list[int], next_due: float | None) -> Claim:
        epoch, suspects = self._queue.epoch(self._owner), frozenset(self._queue.next_suspects())
        return Claim([self._queue.take(key, epoch) for key in keys], next_due, suspects)

    def _changed(self, result: T) -> Deferred[T]:
        self._queue.tell()
        return succeed(result)

    def _schedule_wake(self) -> None:
        """Wake at the end of this reactor turn, once: whoever made the change is not to be called from within it."""
        if self._wake_call is None:
            self._wake_call = self._reactor.callLater(0, self._woken)

    def _woken(self) -> None:
        self._wake_call = None
        self._wake()
