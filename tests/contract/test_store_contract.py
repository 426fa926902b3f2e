"""The contract of every store, clause by clause: what each kind of queue promises to the processes on it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from snqd.core.job import PHP
from snqd.stores.interface import IStore, Pauses, Promise, Receipt, Want


def ids(claimed: list[Any]) -> list[str]:
    return [each.job.id for each in claimed]


def sites(claimed: list[Any]) -> list[str]:
    return [each.job.site for each in claimed]


def by_site(claimed: list[Any]) -> dict[str, int]:
    return {site: sites(claimed).count(site) for site in sites(claimed)}


@ensureDeferred
async def test_it_provides_the_interface(bench: Any) -> None:
    assert verifyObject(IStore, bench.make("one"))


@ensureDeferred
async def test_a_store_that_is_well_has_no_trouble(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    assert one.store.trouble is None


# Accepting jobs


@ensureDeferred
async def test_jobs_come_back_as_they_were_enqueued(bench: Any) -> None:
    one = await bench.process()
    late = bench.job(body=b'{"id": 7}', created=1700000000.25, attempt=3, reason="it was late")
    said = bench.job("NULL", body=b"", created=1.75, reason='it said {"it\'s late", \\, NULL}')
    for jobs in ([late], [said, late]):
        await one.enqueue(*jobs)
        assert {claimed.job.site: claimed.job for claimed in await one.claim()} == {job.site: job for job in jobs}


BODIES = [
    b"",
    b"\0",
    b'"a\0b"',
    b'"\xff\xfe"',
    b"\xed\xa0\x80",
    '"\u00e9\u20ac\U0001f600"'.encode(),
    b'{"quote": "\\" \' \\\\"}',
    bytes(range(256)),
    b'a:1:{s:4:"\0*\0a";i:1;}',
    b"0123",
    b"1e3",
    b"[" * 2000,
    b'"' + b"x" * 10_000_000 + b'"',
]


@pytest.mark.parametrize("encoding", ["json", PHP])
@ensureDeferred
async def test_bodies_of_any_bytes_come_back_unchanged(bench: Any, encoding: str) -> None:
    one = await bench.process()
    some = random.Random(7)
    bodies = [*BODIES, *(some.randbytes(some.randrange(300)) for _ in range(200))]
    await one.enqueue(*(bench.job(body=body, encoding=encoding) for body in bodies))
    claimed = await one.claim(len(bodies))
    assert [each.job.body for each in claimed] == bodies
    assert {each.job.encoding for each in claimed} == {encoding}


@ensureDeferred
async def test_jobs_enqueued_together_keep_their_order_whatever_their_bodies(bench: Any) -> None:
    one = await bench.process()
    bodies = [b"{}", b"\0", b'"\xff"', b"{}", b"\0", b"1"]
    await one.enqueue(*(bench.job(body=body) for body in bodies))
    assert [each.job.body for each in await one.claim()] == bodies


@ensureDeferred
async def test_accepted_jobs_are_there_after_reopening_where_the_store_declares_so(bench: Any) -> None:
    one = await bench.process()
    assert (Promise.DURABLE in one.store.promises) == (bench.kind != "memory")
    jobs = bench.jobs(3)
    await one.enqueue(*jobs)
    await bench.close(one)
    two = await bench.process()
    assert ids(await two.claim()) == [job.id for job in jobs]


@ensureDeferred
async def test_enqueues_in_flight_at_once_are_all_accepted_in_their_order(bench: Any) -> None:
    one = await bench.process()
    jobs = bench.jobs(500)
    await gatherResults([one.store.enqueue([job]) for job in jobs])
    assert await one.drain() == [job.id for job in jobs]


@ensureDeferred
async def test_enqueueing_wakes_the_other_processes_and_the_own(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    woken = gatherResults([one.woken(), two.woken()])
    await one.enqueue(bench.job())
    await woken


@ensureDeferred
async def test_a_closed_store_is_not_woken(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await bench.close(two)
    wakes = two.wakes
    woken = one.woken()
    await one.enqueue(bench.job())
    await woken
    assert two.wakes == wakes


@ensureDeferred
async def test_a_delayed_job_waits_for_its_time(bench: Any) -> None:
    one = await bench.process()
    due = reactor.seconds() + 0.2
    await one.enqueue(bench.job(not_before=due))
    assert await one.claim() == []
    (claimed,) = await one.claim_when_due()
    assert reactor.seconds() >= due
    assert (claimed.job.attempt, claimed.job.not_before) == (1, 0.0)


# Handing jobs out


@ensureDeferred
async def test_claims_hand_each_job_out_once_across_processes(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(100) + bench.jobs(100, "beta")
    await one.enqueue(*jobs)
    claims = await gatherResults([p.store.claim({"q": Want(15)}) for p in (one, two) * 10])
    handed_out = [job_id for claim in claims for job_id in ids(claim.jobs)]
    assert sorted(handed_out) == sorted(job.id for job in jobs)


@ensureDeferred
async def test_a_claim_takes_no_more_than_there_is_room_for_and_only_what_is_wanted(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(5, queue="a"), *bench.jobs(5, queue="b"), *bench.jobs(5, queue="c"))
    claim = await one.store.claim({"a": Want(2), "b": Want(0), "nothing": Want(4)})
    assert [each.job.queue for each in claim.jobs] == ["a", "a"]


@ensureDeferred
async def test_an_empty_claim_says_that_nothing_waits(bench: Any) -> None:
    one = await bench.process()
    claim = await one.store.claim({"q": Want(10)})
    assert (claim.jobs, claim.next_due, claim.suspects) == ([], None, frozenset())


@ensureDeferred
async def test_a_quiet_sites_job_is_in_the_next_claim_behind_five_thousand_of_another(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(*bench.jobs(5000, "loud"))
    await one.claim(50)
    quiet = bench.job("quiet")
    await two.enqueue(quiet)
    assert quiet.id in ids(await one.claim(2))


@ensureDeferred
async def test_a_hundred_sites_get_equal_shares_whatever_their_backlog(bench: Any) -> None:
    one = await bench.process()
    backlog = [bench.job(f"site-{n:02}") for n in range(100) for _ in range(10 + n * 3 % 50)]
    await one.enqueue(*backlog)
    taken = [each for _ in range(40) for each in await one.claim(25)]
    assert set(by_site(taken).values()) == {10}
    assert len(by_site(taken)) == 100


@ensureDeferred
async def test_each_site_has_its_turn_when_there_is_room_for_one_job_at_a_time(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*(bench.job(f"site-{n:02}") for n in range(30) for _ in range(3)))
    turns = [sites(await one.claim(1))[0] for _ in range(60)]
    assert sorted(turns[:30]) == sorted(turns[30:]) == sorted({f"site-{n:02}" for n in range(30)})


@ensureDeferred
async def test_what_a_process_holds_already_is_evened_out(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(10, "alpha"), *bench.jobs(10, "beta"))
    assert by_site(await one.claim(6, held={"alpha": 4})) == {"beta": 5, "alpha": 1}


@ensureDeferred
async def test_a_sites_jobs_come_in_the_order_in_which_they_were_enqueued(bench: Any) -> None:
    one = await bench.process()
    jobs = [bench.job(site) for _ in range(20) for site in ("alpha", "beta", "gamma")]
    await one.enqueue(*jobs)
    order = await one.drain()
    for site in ("alpha", "beta", "gamma"):
        mine = [job.id for job in jobs if job.site == site]
        assert [job_id for job_id in order if job_id in mine] == mine


# SettlementQueue


@ensureDeferred
async def test_an_acknowledged_job_is_gone(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    assert await one.store.ack(claimed.receipt) is True
    assert await one.store.recover(one.name, (), "") == 0
    assert await one.store.depths() == []


@ensureDeferred
async def test_follow_ups_are_there_once_their_job_is_acknowledged_and_not_before(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    follow_ups = [bench.job("beta", "later", id="job-1.1"), bench.job("alpha", "later", id="job-1.2", not_before=9e9)]
    assert await two.claim(queue="later") == []
    woken = two.woken()
    assert await one.store.ack(claimed.receipt, follow_ups) is True
    await woken
    (follow_up,) = await two.claim(queue="later")
    assert (follow_up.job.id, follow_up.job.site) == ("job-1.1", "beta")
    assert {(depth.site, depth.delayed) for depth in await two.store.depths()} == {("beta", 0), ("alpha", 1)}


@ensureDeferred
async def test_many_settlements_at_once_each_get_their_own_answer(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(30))
    claimed = await one.claim(30)
    stale = [Receipt(each.receipt.key, each.receipt.epoch + 1) for each in claimed[:10]]
    wrong = [one.store.ack(receipt) for receipt in stale]
    right = [one.store.ack(each.receipt) for each in claimed[:15]]
    later = [one.store.retry(each.receipt, 100, "busy") for each in claimed[15:]]
    assert set(await gatherResults(wrong)) == {False}
    assert set(await gatherResults(right + later)) == {True}
    (depth,) = await one.store.depths()
    assert (depth.waiting, depth.delayed, depth.in_flight) == (0, 15, 0)


@pytest.mark.parametrize("second", ["ack", "retry"])
@ensureDeferred
async def test_a_receipt_settles_once(bench: Any, second: str) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    twice = [one.store.ack(claimed.receipt, [bench.job(queue="later")])]
    if second == "ack":
        twice.append(one.store.ack(claimed.receipt, [bench.job(queue="later")]))
    else:
        twice.append(one.store.retry(claimed.receipt, 0.0, "late"))
    assert await gatherResults(twice) == [True, False]
    assert len(await one.claim(queue="later")) == 1
    assert await one.claim() == []


@ensureDeferred
async def test_a_retry_runs_as_the_next_attempt_not_early_and_with_its_reason(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    due = reactor.seconds() + 0.3
    assert await one.store.retry(claimed.receipt, 0.3, "the mirror is busy") is True
    claim = await two.store.claim({"q": Want(1)})
    assert claim.jobs == []
    assert claim.next_due == pytest.approx(due - reactor.seconds(), abs=0.25)
    (again,) = await two.claim_when_due()
    assert reactor.seconds() >= due
    assert (again.job.id, again.job.attempt) == (claimed.job.id, 2)
    assert (again.job.reason, again.job.solo) == ("the mirror is busy", False)


@ensureDeferred
async def test_a_retry_keeps_its_time_over_reopening(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    await one.store.retry(claimed.receipt, 1000.0, "busy")
    await bench.close(one)
    claim = await (await bench.process()).store.claim({"q": Want(1)})
    assert claim.jobs == []
    assert claim.next_due == pytest.approx(1000.0, abs=30)


@ensureDeferred
async def test_the_soonest_retry_is_the_next_due(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(3))
    for claimed, delay in zip(await one.claim(), (300.0, 100.0, 200.0), strict=True):
        await one.store.retry(claimed.receipt, delay, "busy")
    assert (await one.store.claim({"q": Want(1)})).next_due == pytest.approx(100, abs=30)


REASONS = [
    "",
    "na\u00efve \U0001f600",
    'a "quote" \\ and\nlines',
    "a NUL \0 inside",
    "half a pair \ud800",
    "x" * 100_000,
]


@pytest.mark.parametrize("reason", REASONS, ids=range(len(REASONS)))
@ensureDeferred
async def test_a_reason_of_any_text_does_no_harm(bench: Any, reason: str) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    assert await one.store.retry(claimed.receipt, 0.0, reason) is True
    (again,) = await one.claim_when_due()
    assert again.job.reason[:5] == reason[:5]
    assert await one.store.ack(again.receipt) is True


@ensureDeferred
async def test_a_job_given_back_counts_no_attempt_and_keeps_its_place(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(4)
    await one.enqueue(*jobs)
    claimed = await one.claim(2)
    woken = two.woken()
    await one.store.give_back([each.receipt for each in claimed])
    await woken
    again = await two.claim()
    assert ids(again) == [job.id for job in jobs]
    assert {each.job.attempt for each in again} == {1}
    assert await one.store.ack(claimed[0].receipt) is False


@ensureDeferred
async def test_a_retry_of_what_was_not_attempted_waits_and_counts_no_attempt(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(2))
    soon, late = await one.claim()
    assert await one.store.retry(soon.receipt, 0.2, "site a is not configured", attempted=False) is True
    assert await one.store.retry(late.receipt, 100.0, "site a is not configured", attempted=False) is True
    (again,) = await one.claim_when_due()
    assert again.job.id == soon.job.id
    assert (again.job.attempt, again.job.reason) == (1, "site a is not configured")
    assert await one.claim() == []
    assert await one.store.ack(again.receipt) is True


@ensureDeferred
async def test_closing_gives_back_what_is_claimed(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(3)
    await one.enqueue(*jobs)
    await one.claim()
    await bench.close(one)
    again = await two.claim()
    assert ids(again) == [job.id for job in jobs]
    assert {each.job.attempt for each in again} == {1}


# Recovering


@ensureDeferred
async def test_a_dead_processs_suspects_go_solo_and_its_innocents_are_as_they_were(bench: Any) -> None:
    dead, other = await bench.process(), await bench.process()
    await dead.enqueue(*bench.jobs(3))
    suspect, *innocents = await dead.claim()
    woken = other.woken()
    assert await other.store.recover(dead.name, [suspect.job.id, "no-such-job"], "killed by signal 11") == 3
    await woken
    again = await other.store.claim({"q": Want(10)})
    assert [each.job for each in again.jobs] == [each.job for each in innocents]
    assert again.suspects == {"q"}
    (alone,) = await other.claim_solo()
    assert (alone.job.id, alone.job.attempt, alone.job.solo) == (suspect.job.id, 2, True)
    assert alone.job.reason == "killed by signal 11"


@ensureDeferred
async def test_recovering_twice_or_a_stranger_is_harmless(bench: Any) -> None:
    dead, other = await bench.process(), await bench.process()
    await dead.enqueue(*bench.jobs(2))
    first, _ = await dead.claim()
    await other.store.recover(dead.name, [first.job.id], "killed")
    mine = await other.claim() + await other.claim_solo()
    assert await other.store.recover(dead.name, [first.job.id], "killed") == 0
    assert await other.store.recover("nobody", [first.job.id], "killed") == 0
    assert await gatherResults([other.store.ack(each.receipt) for each in mine]) == [True, True]
    assert [each.job.attempt for each in mine] == [1, 2]


@ensureDeferred
async def test_recovering_one_process_leaves_the_others_claims_alone(bench: Any) -> None:
    dead, other = await bench.process(), await bench.process()
    await dead.enqueue(*bench.jobs(4))
    lost, kept = await dead.claim(2), await other.claim(2)
    assert await other.store.recover(dead.name, [each.job.id for each in kept], "killed") == 2
    assert ids(await other.claim()) == ids(lost)
    assert await other.store.ack(kept[0].receipt) is True


@pytest.mark.parametrize("taken_again", [False, True])
@ensureDeferred
async def test_a_stale_receipt_settles_nothing_and_its_follow_ups_are_dropped(bench: Any, taken_again: bool) -> None:
    slow, other = await bench.process(), await bench.process()
    await slow.enqueue(*bench.jobs(3))
    stale = [each.receipt for each in await slow.claim()]
    await other.store.recover(slow.name, (), "")
    if taken_again:
        taken = await other.claim()
    assert await slow.store.ack(stale[0], [bench.job(queue="later")]) is False
    assert await slow.store.retry(stale[1], 0.0, "late") is False
    await slow.store.give_back(stale[2:])
    assert await other.claim(queue="later") == []
    if not taken_again:
        taken = await other.claim()
    assert [each.job.attempt for each in taken] == [1, 1, 1]
    assert await gatherResults([other.store.ack(each.receipt) for each in taken]) == [True] * 3


@ensureDeferred
async def test_a_process_that_lost_its_claims_goes_on_under_a_new_registration(bench: Any) -> None:
    slow, other = await bench.process(), await bench.process()
    await slow.enqueue(*bench.jobs(2))
    old = await slow.claim()
    await other.store.recover(slow.name, (), "")
    new, _ = await gatherResults([slow.store.claim({"q": Want(10)}), slow.store.claim_solo(["q"])])
    assert ids(new.jobs) == ids(old)
    assert await slow.store.ack(old[0].receipt) is False
    assert await slow.store.ack(new.jobs[0].receipt) is True
    assert await other.store.recover(slow.name, (), "") == 1


@ensureDeferred
async def test_a_process_started_again_does_not_own_what_its_predecessor_claimed(bench: Any) -> None:
    first, other = await bench.process("child"), await bench.process()
    await first.enqueue(bench.job())
    (old,) = await first.claim()
    await other.store.recover("child", (), "killed")
    await bench.close(first)
    second = await bench.process("child")
    (new,) = await second.claim()
    assert old.receipt != new.receipt
    assert await second.store.ack(old.receipt) is False
    assert await second.store.ack(new.receipt) is True


# Suspects run alone


async def suspects(bench: Any, *queues: str) -> None:
    """A process dies running one job of each queue."""
    dead, other = await bench.process(), await bench.process()
    jobs = [bench.job(queue=queue) for queue in queues]
    await dead.enqueue(*jobs)
    await dead.store.claim({queue: Want(10) for queue in queues})
    await other.store.recover(dead.name, [job.id for job in jobs], "killed")
    await bench.close(other)


@ensureDeferred
async def test_suspects_run_one_at_a_time_across_processes(bench: Any) -> None:
    await suspects(bench, "q", "q", "r")
    one, two = await bench.process(), await bench.process()
    (first,) = await one.claim_solo("q", "r")
    assert await two.claim_solo("q", "r") == []
    assert await one.claim_solo("q", "r") == []
    assert await one.store.ack(first.receipt) is True
    (second,) = await two.claim_solo("q", "r")
    assert second.job.id != first.job.id


@ensureDeferred
async def test_only_suspects_of_the_wanted_queues_are_handed_out(bench: Any) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    assert await one.claim_solo("other") == []
    assert await one.claim() == []
    assert len(await one.claim_solo("other", "q")) == 1


@ensureDeferred
async def test_a_claim_tells_the_queues_whose_suspects_may_run(bench: Any) -> None:
    await suspects(bench, "q", "q", "r", "s")
    one, two = await bench.process(), await bench.process()
    await one.store.pause("s", None, True)
    assert (await two.store.claim({})).suspects == {"q", "r"}
    (first,) = await one.claim_solo("q")
    assert (await two.store.claim({})).suspects == {"r"}
    await one.store.ack(first.receipt)
    assert (await two.store.claim({})).suspects == {"q", "r"}


@ensureDeferred
async def test_a_suspect_whose_process_dies_again_counts_that_attempt_too(bench: Any) -> None:
    await suspects(bench, "q")
    one, two = await bench.process(), await bench.process()
    (suspect,) = await one.claim_solo()
    await two.store.recover(one.name, [suspect.job.id], "killed again")
    (again,) = await two.claim_solo()
    assert (again.job.attempt, again.job.reason) == (3, "killed again")


@ensureDeferred
async def test_a_suspect_that_is_retried_is_suspect_no_more(bench: Any) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    (suspect,) = await one.claim_solo()
    await one.store.retry(suspect.receipt, 0.0, "busy")
    (again,) = await one.claim_when_due()
    assert (again.job.attempt, again.job.solo) == (3, False)


@pytest.mark.parametrize(("queue", "site"), [("q", None), (None, "alpha"), ("q", "alpha")])
@ensureDeferred
async def test_a_paused_suspect_waits(bench: Any, queue: str | None, site: str | None) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    await one.store.pause(queue, site, True)
    assert await one.claim_solo() == []
    await one.store.pause(queue, site, False)
    assert len(await one.claim_solo()) == 1


# Order


@ensureDeferred
async def test_an_ordered_queue_has_one_job_of_each_site_in_hand_across_processes(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(*bench.jobs(3, "alpha"), *bench.jobs(3, "beta"))
    first = await one.claim(ordered=True)
    assert sorted(sites(first)) == ["alpha", "beta"]
    assert await two.claim(ordered=True) == []
    (alpha,) = [each for each in first if each.job.site == "alpha"]
    await one.store.ack(alpha.receipt)
    assert sites(await two.claim(ordered=True)) == ["alpha"]


@ensureDeferred
async def test_an_ordered_queue_keeps_each_sites_order_over_retries_and_returns(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(4)
    await one.enqueue(*jobs)
    done: list[str] = []
    turns = 0
    while len(done) < 4:
        turns += 1
        process = one if turns % 2 else two
        claim = await process.store.claim({"q": Want(10, ordered=True)})
        if not claim.jobs:
            await deferLater(reactor, claim.next_due)
            continue
        (claimed,) = claim.jobs
        if claimed.job.attempt == 1:
            await process.store.retry(claimed.receipt, 0.05, "not the first time")
        elif turns % 3 == 0:
            await process.store.give_back([claimed.receipt])
        else:
            await process.store.ack(claimed.receipt)
            done.append(claimed.job.id)
    assert done == [job.id for job in jobs]


@ensureDeferred
async def test_a_retry_holds_the_later_jobs_of_its_site_back_and_no_others(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(2, "alpha"))
    (first,) = await one.claim(ordered=True)
    await one.store.retry(first.receipt, 500.0, "busy")
    await one.enqueue(bench.job("beta"))
    assert sites(await one.claim(ordered=True)) == ["beta"]


@ensureDeferred
async def test_a_suspect_holds_the_later_jobs_of_its_site_back(bench: Any) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    await one.enqueue(bench.job())
    assert await one.claim(ordered=True) == []
    (suspect,) = await one.claim_solo()
    assert await one.claim(ordered=True) == []
    await one.store.ack(suspect.receipt)
    assert len(await one.claim(ordered=True)) == 1


@ensureDeferred
async def test_a_job_enqueued_for_later_holds_nothing_back(bench: Any) -> None:
    one = await bench.process()
    now = bench.job()
    await one.enqueue(bench.job(not_before=reactor.seconds() + 500), now)
    assert ids(await one.claim(ordered=True)) == [now.id]


# Pauses


PAUSES = [
    ("q", None, Pauses(queues=frozenset({"q"})), [("r", "alpha"), ("r", "beta")]),
    (None, "alpha", Pauses(sites=frozenset({"alpha"})), [("q", "beta"), ("r", "beta")]),
    ("q", "alpha", Pauses(shares=frozenset({("q", "alpha")})), [("q", "beta"), ("r", "alpha"), ("r", "beta")]),
]


@pytest.mark.parametrize(("queue", "site", "pauses", "left"), PAUSES, ids=["queue", "site", "share"])
@ensureDeferred
async def test_what_is_paused_is_not_handed_out_by_any_process_until_resumed(
    bench: Any, queue: str | None, site: str | None, pauses: Pauses, left: list[tuple[str, str]]
) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(*(bench.job(site, queue) for queue in ("q", "r") for site in ("alpha", "beta")))
    await one.store.pause(queue, site, True)
    await one.store.pause(queue, site, True)
    assert await two.store.pauses() == pauses
    await bench.close(one)
    three = await bench.process()
    assert await three.store.pauses() == pauses
    wants = {"q": Want(10), "r": Want(10)}
    taken = (await three.store.claim(wants)).jobs + (await two.store.claim(wants)).jobs
    assert sorted((each.job.queue, each.job.site) for each in taken) == left
    woken = two.woken()
    await three.store.pause(queue, site, False)
    await woken
    assert await two.store.pauses() == Pauses()
    assert len((await two.store.claim(wants)).jobs) == 4 - len(left)


# Depths


@ensureDeferred
async def test_depths_count_what_waits_is_delayed_and_in_flight(bench: Any) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    now = reactor.seconds()
    await one.enqueue(*(bench.job(created=now - 100 + n) for n in range(5)))
    await one.claim(1)
    await one.enqueue(bench.job(not_before=now + 500), bench.job("beta", "r", created=now - 7))
    await one.enqueue(bench.job("gamma", not_before=now + 500))
    depths = {(depth.queue, depth.site): depth for depth in await one.store.depths()}
    counts = {key: (depth.waiting, depth.delayed, depth.in_flight) for key, depth in depths.items()}
    assert counts == {("q", "alpha"): (5, 1, 1), ("r", "beta"): (1, 0, 0), ("q", "gamma"): (0, 1, 0)}
    assert depths["q", "alpha"].oldest_age == pytest.approx(99, abs=60)
    assert depths["q", "alpha"].oldest_age > depths["r", "beta"].oldest_age >= 7
    assert depths["q", "gamma"].oldest_age is None
