"""What every store promises of settling: acknowledging, follow-ups, retries, giving back, and stale receipts."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from snqd.stores.interface import Promise, Receipt, Want
from tests.contract.bench import ids
from tests.patience import slowness


@pytest.mark.promised(Promise.DEPTHS)
@ensureDeferred
async def test_an_acknowledged_job_is_gone(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    assert await one.store.ack(claimed.receipt) is True
    assert await one.store.recover(one.name, (), "") == 0
    assert await one.store.depths() == []


@pytest.mark.promised(Promise.WAKES_ALL, Promise.DEPTHS)
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


@pytest.mark.promised(Promise.DEPTHS)
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


@pytest.mark.promised(Promise.NEXT_DUE)
@ensureDeferred
async def test_a_retry_runs_as_the_next_attempt_not_early_and_with_its_reason(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    delay = 0.3 * slowness()
    due = reactor.seconds() + delay
    assert await one.store.retry(claimed.receipt, delay, "the mirror is busy") is True
    claim = await two.store.claim({"q": Want(1)})
    assert claim.jobs == []
    assert claim.next_due == pytest.approx(due - reactor.seconds(), abs=0.8 * delay)
    (again,) = await two.claim_when_due()
    assert reactor.seconds() >= due
    assert (again.job.id, again.job.attempt) == (claimed.job.id, 2)
    assert (again.job.reason, again.job.solo) == ("the mirror is busy", False)


@pytest.mark.promised(Promise.NEXT_DUE)
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


@pytest.mark.promised(Promise.KEEPS_PLACE)
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
