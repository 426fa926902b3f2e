"""What every store promises of suspects: each runs alone, and counts every process that dies of it."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from snqd.stores.interface import Promise
from tests.contract.bench import suspects


@pytest.mark.promised(Promise.ONE_SUSPECT)
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


@pytest.mark.promised(Promise.ONE_SUSPECT)
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
