"""What every store promises of handing jobs out: each once, no more than wanted, and fairly among sites."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults

from snqd.stores.interface import Promise, Want
from tests.contract.bench import FOREVER, by_site, ids, sites
from tests.patience import slowness


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
async def test_two_processes_claim_and_settle_four_thousand_jobs_once_each(shared: Any, child: Any) -> None:
    one = await shared.process()
    jobs = [shared.job(f"site-{n % 7}") for n in range(4000)]
    await one.enqueue(*jobs)
    racers = [child(*shared.where, f"racer-{n}", FOREVER) for n in range(2)]
    for racer in racers:
        await racer.line(0)
    for racer in racers:
        racer.say("drain 20")
    shares = [json.loads(await racer.line(1)) for racer in racers]
    assert all(shares)
    assert sorted(shares[0] + shares[1]) == sorted(job.id for job in jobs)
    assert await one.store.depths() == []


@pytest.mark.promised(Promise.FAIR_CLAIMS)
@ensureDeferred
async def test_a_quiet_sites_job_is_in_the_next_claim_behind_five_thousand_of_another(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(*bench.jobs(5000, "loud"))
    await one.claim(50)
    quiet = bench.job("quiet")
    await two.enqueue(quiet)
    assert quiet.id in ids(await one.claim(2))


FLOOD = 50_000


@pytest.mark.promised(Promise.FAIR_CLAIMS)
@ensureDeferred
async def test_a_quiet_sites_job_is_claimed_at_once_right_after_a_flood(shared: Any) -> None:
    one, two = await shared.process(), await shared.process()
    for _ in range(FLOOD // 1000):
        await one.enqueue(*shared.jobs(1000, "loud"))
    quiet = shared.job("quiet")
    await two.enqueue(quiet)
    started = time.monotonic()
    jobs = await one.claim(10)
    seconds = time.monotonic() - started
    assert quiet.id in [claimed.job.id for claimed in jobs]
    assert seconds < 0.1 * slowness()


@pytest.mark.promised(Promise.FAIR_CLAIMS)
@ensureDeferred
async def test_a_hundred_sites_get_equal_shares_whatever_their_backlog(bench: Any) -> None:
    one = await bench.process()
    backlog = [bench.job(f"site-{n:02}") for n in range(100) for _ in range(10 + n * 3 % 50)]
    await one.enqueue(*backlog)
    taken = [each for _ in range(40) for each in await one.claim(25)]
    assert set(by_site(taken).values()) == {10}
    assert len(by_site(taken)) == 100


@pytest.mark.promised(Promise.FAIR_CLAIMS)
@ensureDeferred
async def test_each_site_has_its_turn_when_there_is_room_for_one_job_at_a_time(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*(bench.job(f"site-{n:02}") for n in range(30) for _ in range(3)))
    turns = [sites(await one.claim(1))[0] for _ in range(60)]
    assert sorted(turns[:30]) == sorted(turns[30:]) == sorted({f"site-{n:02}" for n in range(30)})


@pytest.mark.promised(Promise.FAIR_CLAIMS)
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
