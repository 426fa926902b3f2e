from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from snqd.core.errors import StoreUnavailable
from snqd.core.lease_watch import LeaseWatch
from snqd.stores.lease import Lease, Rounds


@pytest.fixture
def lines() -> Iterator[list[str]]:
    logged: list[str] = []
    observer = lambda event: logged.append(str(formatEvent(event)))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    yield logged
    globalLogPublisher.removeObserver(observer)


def test_who_has_vanished_is_given_up_with_its_suspects_and_what_fails_is_told(lines: list[str]) -> None:
    recovered: list[tuple[str, Collection[str], str]] = []
    answers = [succeed([("gone", 5)]), fail(StoreUnavailable("away")), fail(KeyError("broken")), succeed([("gone", 5)])]

    def recover(*given: object) -> Deferred[int]:
        recovered.append(given)  # type: ignore[arg-type]
        return succeed(1)

    lease = Lease(lambda: answers.pop(0), recover, lambda name: [f"job of {name}"], LeaseWatch(1))
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

    def beat() -> Deferred[list[tuple[str, int]]]:
        error = next(answers)
        return succeed([]) if error is None else fail(error)

    lease = Lease(beat, lambda *_: succeed(0), lambda _: [], LeaseWatch(1))
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
