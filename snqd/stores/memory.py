"""A store that lives and dies with its process: for tests of what works on stores, and for trying things out."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from snqd.core.job import Job
from snqd.stores.interface import Claim, Claimed, Depth, IStore, Pauses, Receipt, Want
from snqd.stores.share_out import FEW_SITES, share_out

T = TypeVar("T")


@attrs.define
class _Kept:
    """A job in the queue; `owner` is the epoch of the store that has it in hand, 0 for none."""

    key: int
    job: Job
    owner: int = 0

    @property
    def ready(self) -> bool:
        """Whether a claim may take it; else it is held: in hand, delayed, or waiting to run alone."""
        return not (self.owner or self.job.not_before or self.job.solo)

    @property
    def lone(self) -> bool:
        """Whether it is a suspect that waits to run alone."""
        return self.job.solo and not (self.owner or self.job.not_before)

    @property
    def holds_back(self) -> bool:
        """Whether the later jobs of its site wait for it where order is promised."""
        return not self.ready and bool(self.owner or self.job.solo or self.job.attempt > 1)


class MemoryQueue:
    """The jobs of one or more MemoryStores, which stand for as many processes."""

    def __init__(self) -> None:
        self.paused: set[tuple[str, str]] = set()
        self.listeners: list[Callable[[], None]] = []
        self._kept: dict[int, _Kept] = {}
        self._held: dict[int, _Kept] = {}
        self._ready: dict[str, dict[str, list[int]]] = {}
        self._owners: dict[str, int] = {}
        self._keys = count(1)
        self._epochs = count(1)

    def epoch(self, owner: str) -> int:
        """The number under which `owner` claims; a new one after its jobs were given to others."""
        if owner not in self._owners:
            self._owners[owner] = next(self._epochs)
        return self._owners[owner]

    def add(self, jobs: Iterable[Job]) -> None:
        """Keep new jobs."""
        for job in jobs:
            kept = _Kept(next(self._keys), job)
            self._kept[kept.key] = kept
            self._place(kept)

    def held_by(self, epoch: int) -> list[_Kept]:
        """What the owner of that epoch has in hand."""
        return [kept for kept in self._held.values() if kept.owner == epoch]

    def of(self, receipt: Receipt) -> _Kept | None:
        """The job that `receipt` settles, None if the receipt is stale."""
        kept = self._held.get(receipt.key)
        return kept if kept is not None and kept.owner == receipt.epoch else None

    def remove(self, kept: _Kept) -> None:
        """Forget a job that is held."""
        del self._held[kept.key], self._kept[kept.key]

    def free(self, kept: _Kept, **changes: Any) -> None:
        """Take a job out of its owner's hands, with `changes` to it."""
        kept.owner = 0
        kept.job = attrs.evolve(kept.job, **changes)
        self._place(kept)

    def forget(self, owner: str) -> int:
        """Drop the registration of `owner`; returns its epoch, 0 if it had none."""
        return self._owners.pop(owner, 0)

    def promote(self, now: float) -> float | None:
        """Make ready what is due; returns the seconds until the next job is."""
        delayed = [kept for kept in self._held.values() if kept.job.not_before]
        for kept in delayed:
            if kept.job.not_before <= now:
                self.free(kept, not_before=0.0)
        return min((kept.job.not_before - now for kept in delayed if kept.job.not_before), default=None)

    def suspects(self) -> list[_Kept]:
        """The jobs that run alone, in hand or waiting for it, in their order."""
        return sorted((kept for kept in self._held.values() if kept.job.solo), key=lambda kept: kept.key)

    def queues_with_suspects(self) -> frozenset[str]:
        """The queues of which a suspect may run alone now."""
        suspects, pauses = self.suspects(), self.pauses()
        in_hand = {kept.job.queue for kept in suspects if kept.owner}
        free = (kept.job for kept in suspects if kept.lone and not pauses.covers(kept.job.queue, kept.job.site))
        return frozenset(job.queue for job in free) - in_hand

    def offers(self, queue: str, want: Want, after: str) -> list[tuple[str, list[int]]]:
        """The next sites behind `after` that have ready jobs, each with the keys of its first ones."""
        sites, pauses = self._ready.get(queue, {}), self.pauses()
        in_turn = chain(sorted(site for site in sites if site > after), sorted(site for site in sites if site <= after))
        busy = self._busy(queue) if want.ordered else set()
        open_ones = (site for site in in_turn if site not in busy and not pauses.covers(queue, site))
        room = 1 if want.ordered else want.room
        return [(site, sites[site][:room]) for site in islice(open_ones, max(want.room, FEW_SITES))]

    def take(self, key: int, epoch: int) -> Claimed:
        """Put a job into the hands of the owner of `epoch`."""
        kept = self._kept[key]
        if kept.ready:
            self._unready(kept)
        kept.owner = epoch
        self._held[key] = kept
        return Claimed(kept.job, Receipt(key, epoch))

    def pauses(self) -> Pauses:
        """What is paused."""
        return Pauses(
            frozenset(queue for queue, site in self.paused if not site),
            frozenset(site for queue, site in self.paused if not queue),
            frozenset((queue, site) for queue, site in self.paused if queue and site),
        )

    def depths(self, now: float) -> Iterator[Depth]:
        """What waits, by queue and site."""
        shares: dict[tuple[str, str], list[_Kept]] = {}
        for kept in self._kept.values():
            shares.setdefault((kept.job.queue, kept.job.site), []).append(kept)
        for (queue, site), share in shares.items():
            waiting = [kept.job.created for kept in share if kept.ready or kept.lone]
            delayed = sum(bool(kept.job.not_before) for kept in share)
            in_flight = sum(bool(kept.owner) for kept in share)
            oldest = max(now - min(waiting), 0.0) if waiting else None
            yield Depth(queue, site, len(waiting), delayed, in_flight, oldest)

    def _busy(self, queue: str) -> set[str]:
        return {kept.job.site for kept in self._held.values() if kept.job.queue == queue and kept.holds_back}

    def _place(self, kept: _Kept) -> None:
        self._held.pop(kept.key, None)
        if kept.ready:
            insort(self._ready.setdefault(kept.job.queue, {}).setdefault(kept.job.site, []), kept.key)
        else:
            self._held[kept.key] = kept

    def _unready(self, kept: _Kept) -> None:
        sites = self._ready[kept.job.queue]
        sites[kept.job.site].remove(kept.key)
        if not sites[kept.job.site]:
            del sites[kept.job.site]


@implementer(IStore)
class MemoryStore:
    """Jobs in memory; nothing outlives the process, and a lease has nobody to expire for.

    :param reactor: tells the time, in Unix seconds.
    :param owner: the name under which others recover what this store has claimed.
    :param queue: shared by stores that stand for several processes.
    """

    durable = False

    def __init__(self, reactor: IReactorTime, owner: str = "memory", queue: MemoryQueue | None = None) -> None:
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
        next_due = self._queue.promote(self._reactor.seconds())
        keys = [key for queue, want in wants.items() for key in self._keys(queue, want)]
        return succeed(self._claimed(keys, next_due))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`."""
        next_due = self._queue.promote(self._reactor.seconds())
        suspects = [kept for kept in self._queue.suspects() if kept.job.queue in queues]
        pauses = self._queue.pauses()
        free = [kept.key for kept in suspects if kept.lone and not pauses.covers(kept.job.queue, kept.job.site)]
        in_hand = any(kept.owner for kept in suspects)
        return succeed(self._claimed([] if in_hand else free[:1], next_due))

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        kept = self._queue.of(receipt)
        if kept is None:
            return succeed(False)
        self._queue.add(follow_ups)
        self._queue.remove(kept)
        return self._changed(True)

    def retry(self, receipt: Receipt, delay: float, reason: str) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        kept = self._queue.of(receipt)
        if kept is None:
            return succeed(False)
        due = self._reactor.seconds() + delay
        self._queue.free(kept, attempt=kept.job.attempt + 1, solo=False, not_before=due, reason=reason)
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

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        change = self._queue.paused.add if paused else self._queue.paused.discard
        change((queue or "", site or ""))
        return self._changed(None)

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        return succeed(self._queue.pauses())

    def depths(self) -> Deferred[list[Depth]]:
        """See :meth:`IStore.depths`."""
        return succeed(list(self._queue.depths(self._reactor.seconds())))

    def _keys(self, queue: str, want: Want) -> list[int]:
        offers = self._queue.offers(queue, want, self._cursors.get(queue, ""))
        taken = share_out(want.room, offers, want.held)
        if taken:
            self._cursors[queue] = [site for site, _ in offers if site in taken][-1]
        return [key for keys in taken.values() for key in keys]

    def _claimed(self, keys: list[int], next_due: float | None) -> Claim:
        epoch = self._queue.epoch(self._owner)
        jobs = [self._queue.take(key, epoch) for key in keys]
        return Claim(jobs, next_due, self._queue.queues_with_suspects())

    def _changed(self, result: T) -> Deferred[T]:
        for listener in self._queue.listeners:
            listener()
        return succeed(result)

    def _schedule_wake(self) -> None:
        """Wake at the end of this reactor turn, once: whoever made the change is not to be called from within it."""
        if self._wake_call is None:
            self._wake_call = self._reactor.callLater(0, self._woken)

    def _woken(self) -> None:
        self._wake_call = None
        self._wake()
