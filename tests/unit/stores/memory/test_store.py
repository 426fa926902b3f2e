"""The store in memory, with a clock of its own; what it shares with other stores is in tests/contract."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyClass

from snqd.core.job import Job
from snqd.stores.interface import Claim, IStore, Promise, Want
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.memory.store import MemoryStore
from tests.unit.dates import STEPS, Dates

DAY = 86400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def now(deferred: Any) -> Any:
    """The result that is there already."""
    results: list[Any] = []
    deferred.addCallback(results.append)
    (result,) = results
    return result


def claim(store: MemoryStore) -> Claim:
    result: Claim = now(store.claim({"q": Want(10)}))
    return result


def opened(clock: Clock, wakes: list[float], name: str = "memory", queue: MemoryQueue | None = None) -> MemoryStore:
    store = MemoryStore(clock, name, queue, Dates(clock))
    now(store.open(lambda: wakes.append(clock.seconds())))
    return store


def test_it_declares_that_it_loses_its_jobs_with_its_process() -> None:
    assert verifyClass(IStore, MemoryStore)
    assert Promise.DURABLE not in MemoryStore.promises


def test_a_days_delay_passes_with_the_clock(clock: Clock) -> None:
    store = opened(clock, [])
    now(store.enqueue([Job("job-1", "alpha", "q", b"{}")]))
    (claimed,) = claim(store).jobs
    now(store.retry(claimed.receipt, DAY, "tomorrow"))
    clock.advance(DAY - 1)
    assert claim(store) == Claim([], 1.0)
    clock.advance(1)
    (again,) = claim(store).jobs
    assert (again.job.attempt, again.job.reason) == (2, "tomorrow")


@pytest.mark.parametrize("step", STEPS)
def test_a_delay_ends_at_a_date_and_the_wait_for_it_follows_the_set_clock(clock: Clock, step: float) -> None:
    dates = Dates(clock)
    store = MemoryStore(clock, unix_time=dates)
    now(store.open(lambda: None))
    now(store.enqueue([Job("job-1", "alpha", "q", b"{}", not_before=dates() + DAY)]))
    dates.step(step)
    assert claim(store) == Claim([], DAY - step)
    clock.advance(DAY - step)
    assert [each.job.id for each in claim(store).jobs] == ["job-1"]


def test_many_changes_in_one_turn_wake_once_and_not_from_within(clock: Clock) -> None:
    wakes: list[float] = []
    store = opened(clock, wakes)
    for number in range(5):
        now(store.enqueue([Job(f"job-{number}", "alpha", "q", b"{}")]))
    assert wakes == []
    clock.advance(0)
    assert wakes == [0.0]


def test_a_closed_store_leaves_no_timer(clock: Clock) -> None:
    wakes: list[float] = []
    store = opened(clock, wakes)
    now(store.enqueue([Job("job-1", "alpha", "q", b"{}")]))
    now(store.close())
    assert clock.getDelayedCalls() == []
    assert wakes == []


def test_stores_without_a_shared_queue_know_nothing_of_each_other(clock: Clock) -> None:
    one, two = opened(clock, []), opened(clock, [])
    now(one.enqueue([Job("job-1", "alpha", "q", b"{}")]))
    assert claim(two).jobs == []
    assert len(claim(one).jobs) == 1


def test_stores_that_share_a_queue_wake_each_other(clock: Clock) -> None:
    queue, wakes = MemoryQueue(), list[float]()
    one = opened(clock, [], "one", queue)
    opened(clock, wakes, "two", queue)
    now(one.enqueue([Job("job-1", "alpha", "q", b"{}")]))
    clock.advance(0)
    assert wakes == [0.0]
