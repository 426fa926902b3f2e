"""Claimer: one claim at a time, at once when there may be something, less and less often while the store fails."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher

from snqd.core.errors import StoreUnavailable
from snqd.queues.claimer import Claimer
from snqd.stores.interface import Claim


class Store:
    """Notes each claim, answered by the test."""

    def __init__(self) -> None:
        self.claims: list[Deferred[Claim]] = []
        self.taken: list[Claim] = []
        self.room = True

    def ask(self) -> Deferred[Claim] | None:
        if not self.room:
            return None
        self.claims.append(Deferred())
        return self.claims[-1]

    def answer(self, claim: Claim | None = None) -> None:
        self.claims[-1].callback(claim or Claim([]))

    def fail(self) -> None:
        self.claims[-1].errback(StoreUnavailable("the disk is full"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def claimer(clock: Clock, store: Store) -> Claimer:
    return Claimer(clock, Random(1), store.ask, store.taken.append)


def test_one_claim_is_under_way_at_most(claimer: Claimer, store: Store) -> None:
    claimer.wake()
    claimer.wake()
    claimer.claim()
    assert len(store.claims) == 1


def test_it_asks_again_as_long_as_there_is_something_to_ask_for(claimer: Claimer, store: Store) -> None:
    claimer.wake()
    store.answer()
    assert len(store.claims) == 2
    store.room = False
    store.answer()
    assert len(store.claims) == 2


def test_a_wake_during_a_claim_is_not_lost(claimer: Claimer, store: Store) -> None:
    claimer.wake()
    claimer.wake()
    claimer.dry.add("q")
    store.answer()
    assert claimer.dry == set()


def test_what_was_dry_stays_so_without_a_wake(claimer: Claimer, store: Store) -> None:
    claimer.wake()
    store.answer()
    claimer.dry.add("q")
    store.answer()
    assert claimer.dry == {"q"}


def test_the_next_delayed_job_is_looked_for_when_it_is_due(claimer: Claimer, store: Store, clock: Clock) -> None:
    claimer.wake()
    store.room = False
    store.answer(Claim([], next_due=5.0))
    store.room = True
    clock.advance(4.9)
    assert len(store.claims) == 1
    clock.advance(0.2)
    assert len(store.claims) == 2


def test_a_failing_store_is_asked_less_and_less_often(claimer: Claimer, store: Store, clock: Clock) -> None:
    claimer.wake()
    at = []
    for _ in range(12):
        store.fail()
        before = len(store.claims)
        while len(store.claims) == before:
            claimer.wake()  # a doorbell must not shorten the wait
            clock.advance(0.05)
        at.append(clock.seconds())
    waits = [later - earlier for earlier, later in zip([0.0, *at], at, strict=False)]
    assert waits[0] < 0.6
    assert waits[3] > waits[0] * 3
    assert max(waits) <= 15.1
    assert min(waits[8:]) > 11


def test_a_failing_store_is_reported_once_and_its_return_too(claimer: Claimer, store: Store, clock: Clock) -> None:
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        claimer.wake()
        store.fail()
        clock.advance(1)
        store.fail()
        clock.advance(2)
        store.answer()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["log_level"] for event in events] == [LogLevel.error, LogLevel.info]
    assert "the disk is full" in str(events[0]["error"])


def test_a_stopped_one_asks_no_more_but_takes_what_is_under_way(claimer: Claimer, store: Store, clock: Clock) -> None:
    claimer.wake()
    claimer.stop()
    store.answer(Claim([], next_due=1.0))
    claimer.wake()
    clock.advance(10)
    assert len(store.claims) == 1
    assert len(store.taken) == 1
    assert clock.getDelayedCalls() == []
