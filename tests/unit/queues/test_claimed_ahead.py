"""ClaimedAhead: what is claimed and not begun begins soon, or goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.handlers.running_job import RunningJob
from snqd.queues.claimed_ahead import LONGEST_STAY, LOOK_EVERY, PAUSES_EVERY, PauseWatch, Stays
from snqd.queues.queue_manager import QueueManager
from snqd.stores.interface import Claimed, Pauses, Receipt, Want

SLOTS = 4
AHEAD = 400
"""Jobs that a child claims ahead which take no time."""


def quick_then_long(bench: Any, quick: int, kind: type[QueueManager] = QueueManager) -> QueueManager:
    """A manager that has seen `quick` jobs which took no time, and whose jobs wait from now on."""
    manager: QueueManager = bench.manager(kind, limit=SLOTS)
    bench.enqueue(quick)
    assert len(bench.handled) == quick
    bench.handled.clear()
    bench.handle = bench.wait
    return manager


def in_time(bench: Any, seconds: float) -> None:
    """Let time pass in steps that are shorter than any look."""
    for _ in range(round(seconds / 0.05)):
        bench.advance(0.05)


def end_one(bench: Any) -> None:
    """The job that runs for the longest time ends."""
    bench.waits.pop(next(iter(bench.waits))).callback(None)
    bench.turn()


def test_what_was_claimed_at_the_old_cost_goes_back_before_the_first_long_job_ends(bench: Any) -> None:
    manager = quick_then_long(bench, 50)
    ids = bench.enqueue(700)
    assert manager.report()["claimed"] == {"work": AHEAD}
    assert bench.depth() == (700 - SLOTS - AHEAD, 0, SLOTS + AHEAD)
    in_time(bench, 0.5)
    assert manager.report()["claimed"] == {}
    assert bench.depth() == (700 - SLOTS, 0, SLOTS)
    assert bench.handled == ids[:SLOTS]


def test_what_went_back_is_no_attempt_and_runs_in_its_order(bench: Any) -> None:
    attempts = []
    quick_then_long(bench, 50)
    ids = bench.enqueue(20)
    in_time(bench, 1)

    def note(job: RunningJob) -> None:
        attempts.append((job.id, job.attempt))

    bench.handle = note
    for _ in range(SLOTS):
        end_one(bench)
    assert attempts == [(each, 1) for each in ids[SLOTS:]]


@pytest.mark.parametrize(("site", "queue"), [("beta", "work"), ("alpha", "other"), ("beta", "other")])
def test_another_site_or_queue_gets_the_next_free_slot(bench: Any, site: str, queue: str) -> None:
    bench.configure_also("[site:gamma]\n")
    quick_then_long(bench, 50)
    bench.enqueue(700)
    in_time(bench, 1)
    (other,) = bench.enqueue(site="gamma" if site == "beta" else site, queue=queue)
    in_time(bench, 1)
    started = len(bench.handled)
    end_one(bench)
    end_one(bench)
    assert other in bench.handled[started:]


def test_a_job_that_found_no_slot_is_left_to_other_processes(bench: Any) -> None:
    bench.handle = bench.wait
    manager = bench.manager(limit=1)
    bench.outside.enqueue([Job("1", "alpha", "work", b"1"), Job("2", "alpha", "other", b"1")])
    bench.turn()
    assert len(bench.handled) == 1
    assert manager.report()["claimed"] == {}
    assert bench.depth() == (1, 0, 1)
    end_one(bench)
    assert sorted(bench.handled) == ["1", "2"]


def test_a_pause_takes_back_what_is_claimed_within_its_interval_and_lets_run_what_runs(bench: Any) -> None:
    manager = quick_then_long(bench, 50)
    ids = bench.enqueue(30)
    assert manager.report()["claimed"] == {"work": 30 - SLOTS}
    bench.outside.pause("work", "alpha", True)
    bench.advance(LOOK_EVERY)  # the claim does not cost anything yet that could send them back
    assert manager.report()["claimed"] == {}
    for _ in range(SLOTS):
        end_one(bench)
    assert bench.handled == ids[:SLOTS]
    bench.outside.pause("work", "alpha", False)
    bench.turn()
    assert bench.handled[SLOTS:] == ids[SLOTS : 2 * SLOTS]


def test_a_pause_stops_short_jobs_that_are_claimed_ahead(bench: Any) -> None:
    manager = bench.manager(limit=SLOTS)
    for _ in range(30):  # jobs of 20 ms: some are worth claiming ahead, however long they wait here
        bench.handle = bench.wait
        bench.enqueue(1)
        bench.advance(0.02)
        end_one(bench)
    bench.handled.clear()
    bench.enqueue(100)
    assert manager.report()["claimed"]["work"] > 0
    bench.outside.pause("work", "alpha", True)
    bench.turn()
    for _ in range(round((LOOK_EVERY + PAUSES_EVERY) / 0.02)):
        bench.advance(0.02)
        for _ in list(bench.waits):
            end_one(bench)
    begun = len(bench.handled)
    assert begun < 100
    in_time(bench, 5)
    assert (len(bench.handled), bench.depth()) == (begun, (100 - begun, 0, 0))


def test_claims_that_nobody_answers_do_not_keep_claimed_jobs_from_free_slots(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_then_long(bench, 50)
    ids = bench.enqueue(SLOTS + 2)
    monkeypatch.setattr(bench.store, "claim", lambda wants: Deferred())
    end_one(bench)
    assert bench.handled == ids[: SLOTS + 1]


def test_jobs_that_ended_show_until_the_store_has_it(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = bench.manager()
    acknowledged: Deferred[bool] = Deferred()
    monkeypatch.setattr(bench.store, "ack", lambda receipt, follow_ups: acknowledged)
    bench.enqueue()
    assert manager.report()["unsettled"] == {"work": 1}
    assert manager.report()["in_flight"] == 0
    acknowledged.callback(True)
    bench.turn()
    assert manager.report()["unsettled"] == {}


def test_a_manager_at_rest_looks_at_nothing(bench: Any) -> None:
    bench.manager()
    bench.enqueue(3)
    in_time(bench, 1)
    assert bench.clock.getDelayedCalls() == []


def claimed(*names: str) -> list[Claimed]:
    return [Claimed(Job(name, "alpha", "work", b""), Receipt(1, 1)) for name in names]


def test_a_share_is_overdue_when_one_of_its_jobs_was_here_all_the_time() -> None:
    stays = Stays()
    first, second, third = claimed("1", "2", "3")
    assert not stays.overdue([("work", "alpha", [first, second])], 0.0)
    assert not stays.overdue([("work", "alpha", [second, third])], LONGEST_STAY - 0.1)
    assert stays.overdue([("work", "alpha", [second, third])], LONGEST_STAY) == {("work", "alpha")}


def test_a_share_whose_jobs_come_and_go_is_never_overdue() -> None:
    stays = Stays()
    for moment in range(10):
        assert not stays.overdue([("work", "alpha", claimed(str(moment)))], moment * LONGEST_STAY)


@pytest.fixture
def watch() -> Callable[[Any], tuple[PauseWatch, Clock, list[Pauses]]]:
    def make(ask: Any) -> tuple[PauseWatch, Clock, list[Pauses]]:
        clock, told = Clock(), list[Pauses]()
        return PauseWatch(clock, ask, told.append), clock, told

    return make


def test_pauses_are_asked_for_one_question_at_a_time(watch: Any) -> None:
    questions: list[Deferred[Pauses]] = []

    def ask() -> Deferred[Pauses]:
        questions.append(Deferred())
        return questions[-1]

    pauses, clock, told = watch(ask)
    pauses.look()
    clock.advance(10 * PAUSES_EVERY)
    pauses.look()
    assert len(questions) == 1
    questions[0].callback(Pauses())
    pauses.look()
    pauses.look()
    assert len(questions) == 2
    assert told == [Pauses()]


def test_a_store_that_is_away_is_asked_again(watch: Any) -> None:
    answers = [fail(StoreUnavailable("away")), fail(ValueError("broken")), succeed(Pauses())]
    pauses, clock, told = watch(lambda: answers.pop(0))
    with capturedLogs() as events:
        for _ in range(3):
            pauses.look()
            clock.advance(PAUSES_EVERY)
    assert told == [Pauses()]
    assert [event["log_level"].name for event in events] == ["debug", "critical"]


def test_the_store_gets_back_what_others_can_claim(bench: Any) -> None:
    quick_then_long(bench, 50)
    bench.enqueue(100)
    in_time(bench, 1)
    got: list[Any] = []
    bench.outside.claim({"work": Want(200)}).addCallback(got.append)
    assert len(got[0].jobs) == 100 - SLOTS
