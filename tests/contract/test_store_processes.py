"""Every durable queue among real processes: killed, stopped, or racing with each other."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from snqd.core.job import Job

FLOOD = 50_000
FOREVER = 600.0
SHORT = 0.8
"""Seconds of a lease that is to run out in a test."""


@ensureDeferred
async def test_a_process_killed_right_after_a_job_was_accepted_loses_none(shared: Any, child: Any) -> None:
    process = child(*shared.where, "killed", FOREVER)
    await process.line(0)
    process.say("enqueue_and_die 100")
    assert await process.ended == -signal.SIGKILL
    accepted = process.lines[1:]
    assert len(accepted) == 50
    one = await shared.process()
    assert (await one.drain())[:50] == accepted


@ensureDeferred
async def test_a_killed_processs_jobs_come_back_by_recover_and_nothing_is_locked(shared: Any, child: Any) -> None:
    one = await shared.process()
    await one.enqueue(*shared.jobs(5))
    process = child(*shared.where, "killed", FOREVER)
    await process.line(0)
    process.say("claim 5")
    claimed = json.loads(await process.line(1))
    process.signal(signal.SIGKILL)
    await process.ended
    assert await one.claim() == []
    assert await one.store.recover("killed", claimed[:1], "killed by signal 9") == 5
    assert [each.job.id for each in await one.claim()] == claimed[1:]
    assert [each.job.id for each in await one.claim_solo()] == claimed[:1]


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


@ensureDeferred
async def test_a_stopped_process_loses_its_claims_after_its_lease_and_goes_on_when_it_comes_back(
    shared: Any, child: Any
) -> None:
    asked: list[str] = []

    def suspects_of(name: str) -> list[str]:
        asked.append(name)
        return [suspect]

    one = await shared.process(lease=SHORT, suspects_of=suspects_of)
    await one.enqueue(*shared.jobs(3))
    process = child(*shared.where, "stopped", SHORT)
    await process.line(0)
    process.say("claim 3")
    suspect, *innocents = json.loads(await process.line(1))
    process.signal(signal.SIGSTOP)
    await until(lambda: one.claim(), innocents)
    (alone,) = await one.claim_solo()
    assert asked == ["stopped"]
    assert (alone.job.id, alone.job.attempt) == (suspect, 2)
    assert alone.job.reason == "its process gave no sign of life"

    process.signal(signal.SIGCONT)
    process.say("ack")
    assert json.loads(await process.line(2)) == [False, False, False]
    assert await one.claim(queue="later") == []
    fresh = shared.job()
    await one.enqueue(fresh)
    process.say("claim 3")
    assert json.loads(await process.line(3)) == [fresh.id]
    process.say("ack")
    assert json.loads(await process.line(4)) == [True]
    assert asked == ["stopped"]


@ensureDeferred
async def test_a_ledger_that_can_not_be_read_only_delays_what_comes_back(shared: Any, child: Any) -> None:
    asked: list[str] = []

    def suspects_of(name: str) -> list[str]:
        asked.append(name)
        if len(asked) == 1:
            raise OSError(5, "Input/output error")
        return []

    one = await shared.process(lease=SHORT, suspects_of=suspects_of)
    await one.enqueue(*shared.jobs(2))
    process = child(*shared.where, "killed", SHORT)
    await process.line(0)
    process.say("claim 2")
    ids = json.loads(await process.line(1))
    process.signal(signal.SIGKILL)
    await until(lambda: one.claim(), ids)
    assert asked == ["killed", "killed"]


@ensureDeferred
async def test_a_process_that_lives_keeps_its_claims_over_many_leases(shared: Any, child: Any) -> None:
    one = await shared.process(lease=SHORT)
    await one.enqueue(*shared.jobs(2))
    process = child(*shared.where, "alive", SHORT)
    await process.line(0)
    process.say("claim 2")
    await process.line(1)
    await deferLater(reactor, 2.5 * SHORT)  # nothing is to happen meanwhile
    assert await one.claim() == []
    process.say("ack")
    assert json.loads(await process.line(2)) == [True, True]


@ensureDeferred
async def test_a_watcher_that_was_stopped_itself_gives_nobody_up(shared: Any, child: Any) -> None:
    one = await shared.process(lease=SHORT)
    await one.enqueue(*shared.jobs(2))
    claimed = await one.claim()
    watcher = child(*shared.where, "watcher", SHORT)
    await watcher.line(0)
    watcher.signal(signal.SIGSTOP)
    await deferLater(reactor, 2 * SHORT)  # longer than a lease
    watcher.signal(signal.SIGCONT)
    watcher.say("claim 3")
    assert json.loads(await watcher.line(1)) == []
    assert [await one.store.ack(each.receipt) for each in claimed] == [True, True]


async def until(claim: Callable[[], Any], ids: list[str]) -> None:
    """Claim until these jobs came, within a minute."""
    got: list[Job] = []
    for _ in range(1200):
        got += [each.job for each in await claim()]
        if len(got) >= len(ids):
            break
        await deferLater(reactor, 0.05)
    assert [job.id for job in got] == ids
    assert {job.attempt for job in got} == {1}


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
    assert seconds < 0.1
