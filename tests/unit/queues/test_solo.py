"""Suspects run alone: in a process of their own, or in that of an exclusive group."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from snqd.core.job import Job
from snqd.core.tenure import LOST
from snqd.queues.solo import ExclusiveQueueManager, SoloQueueManager
from snqd.stores.interface import Want


def make_suspects(bench: Any, number: int) -> list[str]:
    """Let another process die with that many jobs running."""
    ids = bench.enqueue(number)
    taken: list[Any] = []
    bench.outside.claim({"work": Want(number)}).addCallback(taken.append)
    assert len(taken[0].jobs) == number
    bench.outside.recover("outside", ids, "killed by signal 9")
    bench.turn()
    return ids


def test_a_normal_process_leaves_suspects_alone_and_says_that_they_wait(bench: Any) -> None:
    make_suspects(bench, 2)
    manager = bench.manager()
    assert bench.handled == []
    assert manager.report()["solo_waiting"] is True


def test_a_solo_process_runs_them_one_at_a_time_and_nothing_else(bench: Any) -> None:
    suspects = make_suspects(bench, 3)
    bench.handle = bench.wait
    bench.manager(SoloQueueManager)
    bench.enqueue(2)
    for number, suspect in enumerate(suspects, 1):
        assert bench.handled == suspects[:number]
        bench.waits[suspect].callback(None)
        bench.turn()
    assert bench.handled == suspects
    assert bench.depth() == (2, 0, 0)


def test_a_solo_process_sees_suspects_that_come_later(bench: Any) -> None:
    bench.manager(SoloQueueManager)
    suspects = make_suspects(bench, 2)
    assert bench.handled == suspects


def test_a_suspect_that_killed_its_process_too_often_is_buried_with_the_reason(bench: Any) -> None:
    (suspect,) = make_suspects(bench, 1)
    for _ in range(2):  # alone, it kills its process again
        taken: list[Any] = []
        bench.outside.claim_solo(["work"]).addCallback(taken.append)
        bench.outside.recover("outside", [suspect], "killed by signal 9")
    bench.manager(SoloQueueManager)
    assert bench.handled == []
    (letter,) = bench.morgue.letters
    assert (letter.id, letter.reason) == (suspect, "killed by signal 9 (attempt 3 of 3)")


def test_a_suspect_that_survives_and_fails_is_a_suspect_no_longer(bench: Any) -> None:
    make_suspects(bench, 1)

    def fail(job: Any) -> None:
        raise ValueError

    bench.handle = fail
    solo = bench.manager(SoloQueueManager)
    assert bench.depth() == (0, 1, 0)
    assert solo.report()["solo_waiting"] is False


def test_a_quiet_solo_process_takes_no_more(bench: Any) -> None:
    suspects = make_suspects(bench, 2)
    bench.handle = bench.wait
    solo = bench.manager(SoloQueueManager)
    solo.quiet()
    bench.waits[suspects[0]].callback(None)
    bench.turn()
    assert bench.handled == suspects[:1]
    assert bench.depth() == (1, 0, 0)


def test_an_exclusive_process_lets_what_runs_end_before_a_suspect_starts(bench: Any) -> None:
    bench.handle = bench.wait
    bench.manager(ExclusiveQueueManager, limit=3)
    first = bench.enqueue(1)
    suspects = make_suspects_beside(bench, 2)
    later = bench.enqueue(1, queue="other")
    assert bench.handled == first
    bench.waits[first[0]].callback(None)
    bench.turn()
    for number, suspect in enumerate(suspects, 1):
        assert bench.handled == first + suspects[:number]
        bench.waits[suspect].callback(None)
        bench.turn()
    assert bench.handled == first + suspects + later


def make_suspects_beside(bench: Any, number: int) -> list[str]:
    """Suspects, while another process is at work: enqueued as such."""

    ids = [f"suspect-{each}" for each in range(number)]
    bench.outside.enqueue([Job(each, "alpha", "work", b"null", attempt=2, solo=True) for each in ids])
    bench.turn()
    return ids


def test_an_exclusive_process_passes_over_a_paused_suspect(bench: Any) -> None:
    make_suspects(bench, 1)
    bench.outside.pause("work", None, True)
    bench.manager(ExclusiveQueueManager)
    later = bench.enqueue(1, queue="other")
    assert bench.handled == later


def test_an_exclusive_process_goes_on_with_what_it_held_when_the_suspect_is_through(bench: Any) -> None:
    bench.manager(ExclusiveQueueManager, limit=2)
    bench.enqueue(1)  # tells what a job costs, so that some are claimed ahead
    bench.handled.clear()
    bench.handle = bench.wait
    held = bench.enqueue(4)
    (suspect,) = make_suspects_beside(bench, 1)
    for job in held[:2]:
        bench.waits[job].callback(None)
    bench.turn()
    assert bench.handled == [*held[:2], suspect]
    bench.handle = lambda job: None
    bench.waits[suspect].callback(None)
    bench.turn()
    assert bench.handled == [*held[:2], suspect, *held[2:]]


def held_claims(bench: Any, manager: Any) -> list[Any]:
    """From now on the store's answers to `claim_solo` wait here, each as (Deferred, Claim)."""
    held: list[Any] = []
    claim_solo = bench.store.claim_solo

    def later(queues: Any) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        claim_solo(queues).addCallback(lambda claim: held.append((waiting, claim)))
        return waiting

    bench.store.claim_solo = later
    return held


def arrive(bench: Any, held: list[Any]) -> None:
    waiting, claim = held.pop(0)
    waiting.callback(claim)
    bench.turn()


def test_an_exclusive_process_goes_on_where_the_suspects_queue_went_while_it_was_claimed(bench: Any) -> None:
    manager = bench.manager(ExclusiveQueueManager)
    held = held_claims(bench, manager)
    make_suspects_beside(bench, 1)
    manager.serve({"other": False}, bench.settings.queue.retry)
    arrive(bench, held)
    assert bench.depth() == (1, 0, 0)
    later = bench.enqueue(2, queue="other")
    assert bench.handled == later


def test_an_exclusive_process_goes_on_where_it_lost_the_lease_of_a_suspect_while_it_was_claimed(bench: Any) -> None:
    manager = bench.manager(ExclusiveQueueManager)
    held = held_claims(bench, manager)
    make_suspects_beside(bench, 1)
    waiting, claim = held.pop(0)
    lost = attrs.evolve(claim, jobs=[attrs.evolve(claimed, tenure=LOST) for claimed in claim.jobs])
    waiting.callback(lost)
    bench.turn()
    assert bench.handled == []
    later = bench.enqueue(2, queue="other")
    assert bench.handled == later


def test_a_solo_process_goes_on_where_one_suspects_queue_went_while_it_was_claimed(bench: Any) -> None:
    manager = bench.manager(SoloQueueManager)
    held = held_claims(bench, manager)
    make_suspects_beside(bench, 1)
    bench.outside.enqueue([Job("other", "alpha", "other", b"null", attempt=2, solo=True)])
    bench.turn()
    manager.serve({"other": False}, bench.settings.queue.retry)
    while held:
        arrive(bench, held)
    assert bench.handled == ["other"]


def test_an_exclusive_process_that_may_not_begin_takes_and_begins_nothing(bench: Any) -> None:
    bench.may_begin = False
    manager = bench.manager(ExclusiveQueueManager)
    bench.enqueue(2)
    assert bench.handled == []
    assert bench.depth() == (2, 0, 0)
    bench.may_begin = True
    manager.wake()
    bench.turn()
    assert len(bench.handled) == 2


def test_what_an_exclusive_process_has_claimed_it_does_not_begin_when_it_may_no_more(bench: Any) -> None:
    manager = bench.manager(ExclusiveQueueManager, limit=1)
    bench.handle = bench.wait
    first = bench.enqueue(3)
    bench.may_begin = False
    bench.waits[first[0]].callback(None)
    bench.turn()
    assert bench.handled == first[:1]
    manager.drain(0)
    bench.turn()
    assert bench.depth() == (2, 0, 0)


def test_a_suspect_that_comes_when_an_exclusive_process_may_begin_no_more_is_given_back(bench: Any) -> None:
    manager = bench.manager(ExclusiveQueueManager)
    held = held_claims(bench, manager)
    make_suspects_beside(bench, 1)
    bench.may_begin = False
    arrive(bench, held)
    assert bench.handled == []
    manager.drain(0)
    bench.turn()
    assert bench.depth() == (1, 0, 0)
