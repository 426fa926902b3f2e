from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from snqd.core.clocks import BootTime
from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.core.lease_watch import LeaseWatch
from snqd.core.tenure import Tenure
from snqd.stores.interface import Claimed, Receipt
from snqd.stores.lease import CERTAIN, Lease, Rounds


@pytest.fixture
def lines() -> Iterator[list[str]]:
    logged: list[str] = []
    observer = lambda event: logged.append(str(formatEvent(event)))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    yield logged
    globalLogPublisher.removeObserver(observer)


def test_who_has_vanished_is_given_up_with_its_suspects_and_what_fails_is_told(lines: list[str]) -> None:
    recovered: list[tuple[str, Collection[str], str]] = []
    answers = [
        succeed((True, [("gone", 5)])),
        fail(StoreUnavailable("away")),
        fail(KeyError("broken")),
        succeed((True, [("gone", 5)])),
    ]

    def recover(*given: object) -> Deferred[int]:
        recovered.append(given)  # type: ignore[arg-type]
        return succeed(1)

    lease = Lease(lambda: answers.pop(0), recover, lambda name: [f"job of {name}"], LeaseWatch(1), 60.0)
    for _ in range(4):
        done = Deferred.fromCoroutine(lease.keep())
        assert done.called
        assert done.result is None
    assert recovered == [("gone", ["job of gone"], "its process gave no sign of life")]
    told = (
        "could not renew the lease, and it is tried again: away",
        "could not look after the leases",
        "the lease is renewed again",
        "gone gave no sign of life",
    )
    assert all(line.startswith(words) for line, words in zip(lines, told, strict=True))


def test_a_store_that_stays_away_is_told_once_for_each_reason_until_it_is_back(lines: list[str]) -> None:
    away, refused = StoreUnavailable("away"), StoreUnavailable("refused")
    answers = iter([away, away, away, refused, refused, None, None, away])

    def beat() -> Deferred[tuple[bool, list[tuple[str, int]]]]:
        error = next(answers)
        return succeed((True, [])) if error is None else fail(error)

    lease = Lease(beat, lambda *_: succeed(0), lambda _: [], LeaseWatch(1), 60.0)
    for _ in range(8):
        assert Deferred.fromCoroutine(lease.keep()).called
    complaint = "could not renew the lease, and it is tried again: "
    assert lines == [f"{complaint}away", f"{complaint}refused", "the lease is renewed again", f"{complaint}away"]


def test_a_round_that_is_put_off_comes_its_interval_later_and_never_after_the_stop() -> None:
    clock, calls = Clock(), list[float]()
    rounds = Rounds(clock)
    put_off = rounds.start(1.0, lambda: calls.append(clock.seconds()))
    clock.pump([0.75])
    put_off()
    clock.pump([0.75, 0.25, 1.0])
    assert calls == [1.75, 2.75]
    rounds.stop()
    put_off()
    assert clock.getDelayedCalls() == []


def test_rounds_begin_after_their_interval_and_end_together() -> None:
    clock = Clock()
    calls: list[str] = []
    rounds = Rounds(clock)
    rounds.start(1.0, lambda: calls.append("a"))
    rounds.start(2.0, lambda: calls.append("b"))
    assert calls == []
    clock.pump([1.0, 1.0])
    assert sorted(calls) == ["a", "a", "b"]
    rounds.stop()
    assert clock.getDelayedCalls() == []


class Leased:
    """A lease of 60 seconds, and the store's answers to its beats.

    :ivar now: the boot clock.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.beats: list[Deferred[tuple[bool, list[tuple[str, int]]]]] = []
        self.lease = Lease(
            self._beat, lambda *_: succeed(0), lambda _: [], LeaseWatch(4), 60.0, lambda: BootTime(self.now)
        )

    def _beat(self) -> Deferred[tuple[bool, list[tuple[str, int]]]]:
        self.beats.append(Deferred())
        return self.beats[-1]

    def claimed(self, epoch: int = 7) -> Tenure:
        each = Claimed(Job("job-1", "alpha", "q", b""), Receipt(1, epoch))
        self.lease.hold([each])
        return each.tenure


@pytest.fixture
def leased() -> Leased:
    made = Leased()
    made.lease.begin(7, made.lease.now())
    return made


def test_what_is_claimed_is_certainly_ones_own_for_less_than_others_wait(leased: Leased) -> None:
    assert leased.claimed().until == 1000.0 + CERTAIN * 60
    # Of the five looks that others need, the first may come as late as the second.
    assert CERTAIN < 3 / 4


def test_it_counts_from_when_the_store_was_asked(leased: Leased) -> None:
    tenure = leased.claimed()
    renewed = leased.lease.renew()
    leased.now += 20
    leased.beats[0].callback((True, []))
    assert renewed.called
    assert tenure.until == 1000.0 + CERTAIN * 60


def test_who_is_known_no_more_has_lost_what_it_claimed(leased: Leased) -> None:
    before = leased.claimed()
    renewed = leased.lease.renew()
    leased.beats[0].callback((False, []))
    assert renewed.called
    assert before.ended
    assert leased.claimed().ended, "a claim that was under way"
    leased.lease.begin(8, leased.lease.now())
    assert not leased.claimed(8).ended
    assert leased.claimed(7).ended


def test_an_answer_of_before_a_new_registration_says_nothing_of_what_is_claimed_since(leased: Leased) -> None:
    leased.lease.renew()
    leased.lease.begin(8, leased.lease.now())
    leased.beats[0].callback((False, []))
    assert not leased.claimed(8).ended


def test_the_same_registration_twice_is_one(leased: Leased) -> None:
    tenure = leased.claimed()
    leased.lease.begin(7, leased.lease.now())
    assert leased.claimed() is tenure
    assert not tenure.ended


def test_while_the_store_is_away_who_asks_waits_for_the_next_beat_that_is_answered(leased: Leased) -> None:
    renewed = leased.lease.renew()
    leased.beats[0].errback(StoreUnavailable("away"))
    assert not renewed.called
    Deferred.fromCoroutine(leased.lease.keep())
    leased.beats[1].callback((True, []))
    assert renewed.called
