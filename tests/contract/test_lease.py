"""What every queue that processes share promises of leases: who shows no life loses its claims, and nobody else."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from snqd.core.job import Job
from tests.contract.bench import Process
from tests.patience import UNTIL, slowness, until


@pytest.fixture
def short() -> float:
    """Seconds of a lease that is to run out in a test, and not while its process only waits for the processor."""
    return 0.8 * slowness()


async def claim_until(process: Process, ids: list[str], lease: float) -> None:
    """Claim until these jobs came, which the lease of their holder keeps back."""
    got: list[Job] = []

    async def came() -> bool:
        got.extend(each.job for each in await process.claim())
        return len(got) >= len(ids)

    await until(came, UNTIL + 3 * lease)
    assert [job.id for job in got] == ids
    assert {job.attempt for job in got} == {1}


@ensureDeferred
async def test_a_stopped_process_loses_its_claims_after_its_lease_and_goes_on_when_it_comes_back(
    shared: Any, child: Any, short: float
) -> None:
    asked: list[str] = []

    def suspects_of(name: str) -> list[str]:
        asked.append(name)
        return [suspect]

    one = await shared.process(lease=short, suspects_of=suspects_of)
    await one.enqueue(*shared.jobs(3))
    process = child(*shared.where, "stopped", short)
    await process.line(0)
    process.say("claim 3")
    suspect, *innocents = json.loads(await process.line(1))
    process.signal(signal.SIGSTOP)
    await claim_until(one, innocents, short)
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
async def test_a_process_that_stood_still_past_its_lease_begins_nothing_of_what_others_took(
    shared: Any, child: Any, short: float
) -> None:
    one = await shared.process(lease=short)
    await one.enqueue(*shared.jobs(3))
    process = child(*shared.where, "stopped", short)
    await process.line(0)
    process.say("claim 3")
    ids = json.loads(await process.line(1))
    process.say("own")
    assert json.loads(await process.line(2)) == [[True] * 3, [True] * 3]
    process.signal(signal.SIGSTOP)
    await claim_until(one, ids, short)
    process.say("own")  # the first that it reads when it goes on
    process.signal(signal.SIGCONT)
    assert json.loads(await process.line(3)) == [[False] * 3, [False] * 3]
    fresh = shared.job()
    await one.enqueue(fresh)
    process.say("ack")
    assert json.loads(await process.line(4)) == [False] * 3
    process.say("claim 3")
    assert json.loads(await process.line(5)) == [fresh.id]
    process.say("own")
    assert json.loads(await process.line(6)) == [[True], [True]]


@ensureDeferred
async def test_a_process_that_stood_still_while_nobody_watched_goes_on_once_the_store_knows_it(
    shared: Any, child: Any, short: float
) -> None:
    one = await shared.process(lease=600.0)
    await one.enqueue(*shared.jobs(3))
    process = child(*shared.where, "stopped", short)
    await process.line(0)
    process.say("claim 3")
    await process.line(1)
    process.signal(signal.SIGSTOP)
    await deferLater(reactor, 1.5 * short)  # longer than it can be sure
    process.say("own")
    process.signal(signal.SIGCONT)
    assert json.loads(await process.line(2)) == [[False] * 3, [True] * 3]
    process.say("ack")
    assert json.loads(await process.line(3)) == [True] * 3


@ensureDeferred
async def test_a_ledger_that_can_not_be_read_only_delays_what_comes_back(shared: Any, child: Any, short: float) -> None:
    asked: list[str] = []

    def suspects_of(name: str) -> list[str]:
        asked.append(name)
        if len(asked) == 1:
            raise OSError(5, "Input/output error")
        return []

    one = await shared.process(lease=short, suspects_of=suspects_of)
    await one.enqueue(*shared.jobs(2))
    process = child(*shared.where, "killed", short)
    await process.line(0)
    process.say("claim 2")
    ids = json.loads(await process.line(1))
    process.signal(signal.SIGKILL)
    await claim_until(one, ids, short)
    assert asked == ["killed", "killed"]


@ensureDeferred
async def test_a_process_that_lives_keeps_its_claims_over_many_leases(shared: Any, child: Any, short: float) -> None:
    one = await shared.process(lease=short)
    await one.enqueue(*shared.jobs(2))
    process = child(*shared.where, "alive", short)
    await process.line(0)
    process.say("claim 2")
    await process.line(1)
    await deferLater(reactor, 2.5 * short)  # nothing is to happen meanwhile
    assert await one.claim() == []
    process.say("ack")
    assert json.loads(await process.line(2)) == [True, True]


@ensureDeferred
async def test_a_watcher_that_was_stopped_itself_gives_nobody_up(shared: Any, child: Any, short: float) -> None:
    one = await shared.process(lease=short)
    await one.enqueue(*shared.jobs(2))
    claimed = await one.claim()
    watcher = child(*shared.where, "watcher", short)
    await watcher.line(0)
    watcher.signal(signal.SIGSTOP)
    await deferLater(reactor, 2 * short)  # longer than a lease
    watcher.signal(signal.SIGCONT)
    watcher.say("claim 3")
    assert json.loads(await watcher.line(1)) == []
    assert [await one.store.ack(each.receipt) for each in claimed] == [True, True]
