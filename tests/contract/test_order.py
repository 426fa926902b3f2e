"""What every store promises of ordered queues: one job of each site in hand, and none before its turn."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from snqd.stores.interface import Promise, Want
from tests.contract.bench import ids, sites, suspects


@pytest.mark.promised(Promise.ORDER_ACROSS_PROCESSES)
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


@pytest.mark.promised(Promise.ORDER_ACROSS_PROCESSES)
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


@pytest.mark.promised(Promise.ORDER_ACROSS_PROCESSES)
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
