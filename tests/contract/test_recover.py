"""What every store promises of a process that died: its jobs come back, and those it was running go solo."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults

from snqd.stores.interface import Promise, Want
from tests.contract.bench import FOREVER, ids


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


@pytest.mark.promised(Promise.KNOWS_HOLDERS)
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
