"""MemoryQueue: the jobs of MemoryStores, kept in one process's memory; see :mod:`snqd.stores.memory.store`."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, count, islice
from typing import Any

import attrs

from snqd.core.job import Job
from snqd.stores.interface import Claimed, Depth, Pauses, Receipt, Want
from snqd.stores.share_out import FEW_SITES


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
    def waits_alone(self) -> bool:
        """Whether it is a suspect that may run, alone."""
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

    def next_suspects(self) -> dict[str, int]:
        """The key of the first suspect that may run, for each queue that has one and none in hand."""
        pauses, suspects = self.pauses(), [kept for kept in self._held.values() if kept.job.solo]
        busy = {kept.job.queue for kept in suspects if kept.owner}
        waiting: dict[str, int] = {}
        for kept in sorted(suspects, key=lambda kept: kept.key):
            queue = kept.job.queue
            if kept.waits_alone and queue not in busy and not pauses.covers(queue, kept.job.site):
                waiting.setdefault(queue, kept.key)
        return waiting

    def suspect_in_hand(self, queues: Collection[str]) -> bool:
        """Whether a suspect of `queues` runs."""
        return any(kept.owner and kept.job.solo and kept.job.queue in queues for kept in self._held.values())

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

    def tell(self) -> None:
        """Something has changed: all stores hear of it."""
        for listener in self.listeners:
            listener()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """Stop, or go on, handing out jobs; see :meth:`snqd.stores.interface.ISteering.pause`."""
        change = self.paused.add if paused else self.paused.discard
        change((queue or "", site or ""))

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
            waiting = [kept.job.created for kept in share if kept.ready or kept.waits_alone]
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
