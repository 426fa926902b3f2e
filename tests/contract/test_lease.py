"""What every queue that processes share promises of leases: who shows no life loses its claims, and nobody else."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from snqd.core.job import Job

SHORT = 0.8
"""Seconds of a lease that is to run out in a test."""


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
