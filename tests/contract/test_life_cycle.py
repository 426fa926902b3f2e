"""What every store promises of its opening and closing: what is kept over it, and what is given back."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from zope.interface.verify import verifyObject

from snqd.stores.interface import IStore, Promise, Want
from tests.contract.bench import ids


@ensureDeferred
async def test_it_provides_the_interface(bench: Any) -> None:
    assert verifyObject(IStore, bench.make("one"))


@ensureDeferred
async def test_a_store_that_is_well_has_no_trouble(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    assert one.store.trouble is None


@pytest.mark.promised(Promise.DURABLE)
@ensureDeferred
async def test_accepted_jobs_are_there_after_reopening(bench: Any) -> None:
    one = await bench.process()
    jobs = bench.jobs(3)
    await one.enqueue(*jobs)
    await bench.end()
    two = await bench.process()
    assert ids(await two.claim()) == [job.id for job in jobs]


@pytest.mark.promised(Promise.NEXT_DUE)
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
async def test_closing_gives_back_what_is_claimed(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(3)
    await one.enqueue(*jobs)
    await one.claim()
    await bench.close(one)
    again = await two.claim()
    assert ids(again) == [job.id for job in jobs]
    assert {each.job.attempt for each in again} == {1}


@ensureDeferred
async def test_a_closed_store_is_not_woken(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    await bench.close(two)
    wakes = two.wakes
    woken = one.woken()
    await one.enqueue(bench.job())
    await woken
    assert two.wakes == wakes
