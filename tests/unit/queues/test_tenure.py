"""A process that stood still begins nothing that may be another's by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from snqd.core.job import Job
from snqd.core.tenure import Tenure
from snqd.queues.queue_manager import QueueManager
from snqd.queues.solo import ExclusiveQueueManager, SoloQueueManager
from snqd.stores.interface import Want
from snqd.stores.memory.store import MemoryStore

LEASE = 45.0


class Paused:
    """A bench whose store has leases.

    :ivar now: the boot clock.
    :ivar tenure: of what is claimed from now on.
    :ivar asked: what the manager waits for since it asked what is still its own.
    """

    def __init__(self, bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.now = 1000.0
        self.tenure = Tenure(self.now + LEASE)
        self.asked: list[Deferred[None]] = []
        self.given_back: list[Any] = []
        monkeypatch.setattr("snqd.queues.queue_manager.boot_time", lambda: self.now)

    def manager(self, kind: type[QueueManager] = QueueManager, **more: Any) -> QueueManager:
        manager: QueueManager = self.bench.manager(kind, **more)
        store = self.bench.store
        for name in ("claim", "claim_solo"):
            setattr(store, name, self._held(getattr(store, name)))
        give_back = store.give_back
        store.give_back = lambda receipts: (self.given_back.extend(receipts), give_back(receipts))[1]
        store.renew = self._renew
        return manager

    def _held(self, claim: Callable[..., Any]) -> Callable[..., Any]:
        def held(wants: Any) -> Any:
            return claim(wants).addCallback(self._hold)

        return held

    def _hold(self, claim: Any) -> Any:
        for each in claim.jobs:
            each.tenure = self.tenure
        return claim

    def _renew(self) -> Deferred[None]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def block(self, seconds: float) -> Callable[[Any], None]:
        """A handler in which the first job keeps the whole process from running."""

        def handle(job: Any) -> None:
            if len(self.bench.handled) == 1:
                self.now += seconds

        return handle

    def take_over(self) -> None:
        """Others take what this process holds, and do it."""
        self.bench.outside.recover("me", (), "")
        self.tenure.end()
        self.tenure = Tenure(self.now + LEASE)

    def answer(self) -> None:
        """The store says what is still this process's."""
        self.tenure.extend(self.now + LEASE)
        for each in self.asked:
            each.callback(None)
        self.asked.clear()
        self.bench.turn()


@pytest.fixture
def paused(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Paused:
    return Paused(bench, monkeypatch)


def test_within_its_lease_a_process_asks_nobody(paused: Paused) -> None:
    paused.bench.handle = paused.block(LEASE - 1)
    paused.manager()
    assert paused.bench.enqueue(5) == paused.bench.handled
    assert paused.asked == []


def test_after_a_pause_nothing_begins_before_the_store_has_told(paused: Paused, logged: list[str]) -> None:
    paused.bench.handle = paused.block(LEASE + 1)
    paused.manager()
    ids = paused.bench.enqueue(10)
    paused.bench.advance(60)
    assert paused.bench.handled == ids[:1]
    assert len(paused.asked) == 1
    assert [line for line in logged if "stood still" in line] == [
        "warn: this process stood still for long: it asks its store what is still its own"
    ]


def test_what_is_still_its_own_then_begins(paused: Paused) -> None:
    paused.bench.handle = paused.block(LEASE + 1)
    paused.manager()
    ids = paused.bench.enqueue(10)
    paused.answer()
    assert sorted(paused.bench.handled) == sorted(ids)
    assert paused.bench.depth() == (0, 0, 0)


def test_what_others_have_by_now_begins_never(paused: Paused) -> None:
    paused.bench.handle = paused.block(LEASE + 1)
    manager = paused.manager()
    ids = paused.bench.enqueue(10)
    paused.take_over()
    manager._use.store.claim = lambda wants: Deferred()  # the others take them
    paused.answer()
    assert paused.bench.handled == ids[:1]
    assert manager.report()["in_flight"] == 0


def test_what_is_claimed_after_that_is_begun(paused: Paused) -> None:
    paused.bench.handle = paused.block(LEASE + 1)
    paused.manager()
    ids = paused.bench.enqueue(10)
    paused.take_over()
    paused.answer()
    assert sorted(paused.bench.handled) == sorted(ids)
    assert paused.bench.depth() == (0, 0, 0)


def test_a_process_that_is_unsure_gives_all_back_when_it_leaves(paused: Paused) -> None:
    paused.bench.handle = paused.block(LEASE + 1)
    manager = paused.manager()
    paused.bench.enqueue(10)
    drained = manager.drain(20)
    paused.bench.turn()
    assert drained.called
    assert paused.bench.depth() == (9, 0, 0)


@pytest.mark.parametrize("kind", [SoloQueueManager, ExclusiveQueueManager])
@pytest.mark.parametrize("lost", [False, True])
def test_a_suspect_whose_lease_ran_out_in_the_claim_keeps_nobody_from_working(
    paused: Paused, kind: type[QueueManager], lost: bool
) -> None:
    bench = paused.bench
    paused.tenure.until = paused.now - 1
    if lost:
        paused.tenure.end()
    paused.manager(kind)
    dead = MemoryStore(bench.clock, "dead", bench.queue, bench.dates)
    bench.outside.enqueue([Job("suspect", "alpha", "work", b"null")])
    dead.claim({"work": Want(1)})
    dead.recover("dead", ["suspect"], "killed")
    bench.turn()
    assert bench.handled == []
    paused.tenure = Tenure(paused.now + LEASE)
    paused.answer()
    bench.outside.recover("me", (), "")
    bench.advance(60)
    assert bench.handled == ["suspect"]
