"""QueueManager: the way of a job from its claim to its settlement."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.handlers import Reject, RetryLater
from snqd.queues.queue_manager import SLICE
from snqd.stores.interface import Want


def test_a_job_is_handled_acknowledged_and_counted(bench: Any) -> None:
    bench.manager()
    ids = bench.enqueue(3)
    assert bench.handled == ids
    assert bench.depth() == (0, 0, 0)
    assert bench.counters.settled == 3
    assert bench.counters.take()[0][:4] == ["work", "alpha", 0, 3]
    assert bench.pings.counted == [("handled", "work", "alpha")] * 3


def test_jobs_run_at_once_up_to_the_limit(bench: Any) -> None:
    bench.handle = bench.wait
    manager = bench.manager(limit=4)
    ids = bench.enqueue(10)
    assert bench.handled == ids[:4]
    assert bench.started() == sorted(ids[:4])
    assert manager.report()["in_flight"] == 4
    assert manager.report()["shares"] == [["work", "alpha", 4]]
    bench.waits[ids[1]].callback(None)
    bench.turn()
    assert bench.handled == ids[:5]


def test_jobs_that_take_long_are_left_to_others_until_a_slot_is_free(bench: Any) -> None:
    bench.handle = bench.wait
    bench.manager(limit=4)
    first = bench.enqueue(1)[0]
    bench.advance(60)
    bench.waits[first].callback(None)
    bench.enqueue(20)
    assert bench.depth() == (16, 0, 4)


def test_the_ledger_names_what_runs_and_nothing_else(bench: Any) -> None:
    seen: list[list[str]] = []
    bench.handle = lambda job: seen.append(bench.started())
    bench.manager()
    ids = bench.enqueue(2)
    assert seen == [[ids[0]], [ids[1]]]
    assert bench.started() == []


def test_a_failing_job_runs_again_after_its_delay_and_then_dies(bench: Any) -> None:
    def fail(job: Any) -> None:
        raise ValueError("no such image")

    bench.handle = fail
    bench.manager()
    (job,) = bench.enqueue()
    assert bench.depth() == (0, 1, 0)
    assert bench.handled == [job]
    bench.advance(15)
    assert bench.handled == [job] * 2
    bench.advance(30)
    assert bench.handled == [job] * 3
    (letter,) = bench.morgue.letters
    assert (letter.id, letter.attempts) == (job, 3)
    assert letter.reason == "ValueError: no such image (attempt 3 of 3)"
    assert "raise ValueError" in letter.traceback
    assert bench.depth() == (0, 0, 0)
    (row,) = bench.counters.take()
    assert row[:6] == ["work", "alpha", 0, 0, 2, 1]
    assert [name for name, _, _ in bench.pings.counted] == ["requeued", "requeued", "deadletter"]


def test_a_handler_chooses_its_own_delay(bench: Any) -> None:
    def busy(job: Any) -> None:
        if job.attempt == 1:
            raise RetryLater(5, "mirror is busy")

    bench.handle = busy
    bench.manager()
    bench.enqueue()
    bench.advance(4.9)
    assert len(bench.handled) == 1
    bench.advance(0.2)
    assert len(bench.handled) == 2
    assert bench.depth() == (0, 0, 0)


def test_a_rejected_job_dies_at_once(bench: Any) -> None:
    def reject(job: Any) -> None:
        raise Reject("no such image")

    bench.handle = reject
    bench.manager()
    bench.enqueue()
    assert [(letter.reason, letter.attempts) for letter in bench.morgue.letters] == [("no such image", 1)]


def test_a_dead_letter_waits_for_a_full_morgue_and_its_job_stays(bench: Any) -> None:
    def reject(job: Any) -> None:
        raise Reject("no such image")

    bench.handle = reject
    bench.morgue.full = True
    bench.manager()
    bench.enqueue()
    bench.advance(30)
    assert bench.depth() == (0, 0, 1)
    bench.morgue.full = False
    bench.advance(30)
    assert len(bench.morgue.letters) == 1
    assert bench.depth() == (0, 0, 0)


def test_what_is_no_payload_dies_with_its_bytes_kept(bench: Any) -> None:
    bench.handle = lambda job: job.payload
    bench.manager()
    bench.enqueue(body=b"{no json")
    (letter,) = bench.morgue.letters
    assert letter.body == b"{no json"
    assert "JSON" in letter.reason


def test_follow_ups_are_there_with_the_acknowledgement_and_their_ids_derive_from_the_parents(bench: Any) -> None:
    def chain(job: Any) -> None:
        if job.queue == "work":
            job.enqueue("other", {"after": job.id})

    bench.handle = chain
    bench.manager()
    (job,) = bench.enqueue()
    bench.turn()
    assert bench.handled == [job, f"{job}.1"]
    assert sorted(row[:4] for row in bench.counters.take()) == [["other", "alpha", 1, 1], ["work", "alpha", 0, 1]]


def test_follow_ups_of_a_failed_attempt_are_dropped(bench: Any) -> None:
    def chain(job: Any) -> None:
        job.enqueue("other", None)
        raise RetryLater(100)

    bench.handle = chain
    bench.manager()
    bench.enqueue()
    assert bench.depth() == (0, 1, 0)


def test_jobs_of_an_unknown_site_ask_for_it_and_wait_without_an_attempt_until_it_is_there(bench: Any) -> None:
    bench.manager()
    bench.enqueue(site="gamma")
    assert bench.handled == []
    assert bench.missed == ["gamma"]
    for _ in range(30):
        bench.advance(60)
    assert bench.depth() == (0, 1, 0)
    assert bench.morgue.letters == []

    bench.configure_also("[site:gamma]\n")
    seen = []
    bench.handle = lambda job: seen.append((job.site.nickname, job.attempt))
    bench.advance(60)
    assert seen == [("gamma", 1)]


def test_a_queue_that_is_served_no_more_gives_back_what_was_claimed_and_lets_run_what_runs(bench: Any) -> None:
    bench.handle = bench.wait
    manager = bench.manager(limit=2)
    bench.enqueue(1)
    bench.waits.popitem()[1].callback(None)  # now it knows that such jobs are short, and claims ahead
    bench.enqueue(10)
    (other,) = bench.enqueue(queue="other")
    running = bench.handled[1:]
    assert bench.depth()[2] > 2

    manager.serve({"other": False}, bench.settings.queue.retry)
    bench.turn()
    assert bench.depth()[0] == 8 + 1
    assert bench.handled[1:] == running
    bench.waits[running[0]].callback(None)
    bench.turn()
    assert bench.handled[3:] == [other]
    bench.waits[running[1]].callback(None)
    bench.waits[other].callback(None)
    bench.turn()
    assert bench.depth() == (8, 0, 0)


def test_a_queue_that_is_served_from_now_on_is_claimed_at_once(bench: Any) -> None:
    manager = bench.manager()
    manager.serve({"work": False}, bench.settings.queue.retry)
    (waiting,) = bench.enqueue(queue="other")
    assert bench.handled == []
    manager.serve({"work": False, "other": False}, bench.settings.queue.retry)
    bench.turn()
    assert bench.handled == [waiting]


def test_a_process_that_waits_for_its_turn_claims_nothing_when_the_configuration_changes(bench: Any) -> None:
    manager = bench.manager(start=False)
    bench.enqueue()
    manager.serve({"work": False, "other": False}, bench.settings.queue.retry)
    bench.turn()
    assert bench.handled == []
    assert bench.depth() == (1, 0, 0)
    manager.start(bench.master)
    bench.turn()
    assert len(bench.handled) == 1


def test_a_process_whose_store_is_not_open_yet_claims_nothing_when_the_configuration_changes(bench: Any) -> None:
    manager = bench.manager(start=False)
    opened: Deferred[None] = Deferred()
    bench.store.open = lambda wake: opened
    manager.start(bench.master)
    bench.enqueue()
    manager.serve({"work": False}, bench.settings.queue.retry)
    manager.wake()
    bench.turn()
    assert bench.handled == []
    opened.callback(None)
    bench.turn()
    assert len(bench.handled) == 1


def test_a_job_that_its_site_has_switched_off_dies(bench: Any) -> None:
    bench.manager()
    bench.enqueue(site="beta", queue="other")
    assert "no handler" in bench.morgue.letters[0].reason


def test_a_job_with_too_many_attempts_is_not_run_but_dies_of_what_it_had(bench: Any) -> None:
    bench.manager()

    bench.outside.enqueue([Job("old", "alpha", "work", b"1", attempt=4, reason="killed by signal 9")])
    with capturedLogs() as events:
        bench.turn()
    assert bench.handled == []
    assert [event["attempt"] for event in events if "is a dead letter" in event["log_format"]] == [3]
    (letter,) = bench.morgue.letters
    assert (letter.reason, letter.attempts) == ("killed by signal 9 (attempt 3 of 3)", 3)


def test_handlers_that_block_let_the_reactor_breathe(bench: Any) -> None:
    bench.handle = lambda job: bench.clock.advance(SLICE * 0.7)
    bench.manager()
    breaths: list[int] = []
    bench.clock.callLater(SLICE, lambda: breaths.append(len(bench.handled)))
    bench.outside.enqueue([])
    ids = bench.enqueue(10)
    assert bench.handled == ids
    assert breaths[0] < 10


def test_a_quiet_manager_gives_back_what_it_has_not_started(bench: Any) -> None:
    bench.handle = bench.wait
    manager = bench.manager(limit=2)
    bench.enqueue(1)
    bench.waits.popitem()[1].callback(None)
    ids = bench.enqueue(10)
    assert bench.depth()[2] > 2
    manager.quiet()
    bench.turn()
    assert bench.depth() == (8, 0, 2)
    bench.waits[ids[0]].callback(None)
    bench.turn()
    assert bench.depth() == (8, 0, 1)


def test_a_drain_ends_when_the_last_job_is_settled(bench: Any) -> None:
    bench.handle = bench.wait
    manager = bench.manager()
    ids = bench.enqueue(2)
    drained: list[Any] = []
    manager.drain(25).addCallback(drained.append)
    bench.waits[ids[0]].callback(None)
    assert drained == []
    bench.waits[ids[1]].callback(None)
    bench.turn()
    assert drained == [None]
    assert bench.depth() == (0, 0, 0)
    manager.stop()
    assert bench.clock.getDelayedCalls() == []
    assert not bench.ledger_path.exists()


def test_after_the_deadline_jobs_are_interrupted_and_given_back_uncounted(bench: Any) -> None:
    cancelled: list[Any] = []
    bench.handle = lambda job: Deferred(cancelled.append)
    manager = bench.manager()
    bench.enqueue()
    drained: list[Any] = []
    manager.drain(25).addCallback(drained.append)
    bench.advance(25)
    assert len(cancelled) == 1
    assert drained == [None]
    assert bench.depth() == (1, 0, 0)
    claimed: list[Any] = []

    bench.outside.claim({"work": Want(1)}).addCallback(claimed.append)
    assert claimed[0].jobs[0].job.attempt == 1


def test_the_outcome_of_a_job_that_was_given_to_another_does_not_count(bench: Any) -> None:
    bench.handle = bench.wait
    bench.manager()
    (job,) = bench.enqueue()
    bench.outside.recover("me", [], "its process gave no sign of life")
    bench.waits[job].callback(None)
    bench.turn()
    assert bench.counters.take() == []
    assert bench.depth()[0] + bench.depth()[2] == 1


def test_ordered_jobs_run_one_by_one_for_each_site(bench: Any) -> None:
    bench.handle = bench.wait
    bench.manager(ordered=True)
    alpha = bench.enqueue(3)
    beta = bench.enqueue(2, site="beta")
    assert bench.handled == [alpha[0], beta[0]]
    bench.waits[alpha[0]].callback(None)
    bench.turn()
    assert bench.handled == [alpha[0], beta[0], alpha[1]]


def test_an_ordered_job_that_fails_holds_its_successors_back(bench: Any) -> None:
    def fail_once(job: Any) -> None:
        if job.attempt == 1 and len(bench.handled) == 1:
            raise RetryLater(5)

    bench.handle = fail_once
    bench.manager(ordered=True)
    ids = bench.enqueue(3)
    assert bench.handled == [ids[0]]
    bench.advance(5)
    assert bench.handled == [ids[0], *ids]


def test_a_claim_that_fails_is_tried_again_while_running_jobs_go_on(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.handle = bench.wait
    manager = bench.manager()
    (running,) = bench.enqueue()
    whole = bench.store.claim

    def refuse(wants: Any) -> Any:
        raise_later: Deferred[Any] = Deferred()
        raise_later.errback(StoreUnavailable("the disk is full"))
        return raise_later

    monkeypatch.setattr(bench.store, "claim", refuse)
    (waiting,) = bench.enqueue()
    bench.waits[running].callback(None)
    bench.turn()
    assert bench.counters.settled == 1
    monkeypatch.setattr(bench.store, "claim", whole)
    bench.advance(1)
    assert bench.handled == [running, waiting]
    assert manager.report()["in_flight"] == 1
