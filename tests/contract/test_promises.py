"""What a store declares not to promise it lacks indeed: each such promise is broken here, on each store without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from snqd.stores.interface import Promise, Want
from tests.contract.bench import by_site, ids, suspects
from tests.contract.conftest import KINDS
from tests.patience import until


async def loses_jobs_with_the_process(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    await bench.end()
    two = await bench.process()
    assert await two.claim() == []


async def lets_a_quiet_site_wait(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(2000, "loud"))
    await one.claim(50)
    await one.enqueue(bench.job("quiet"))
    assert by_site(await one.claim(2)) == {"loud": 2}


async def claims_nothing_while_a_job_is_ready(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    assert (await one.store.inner.claim({"q": Want(1)})).jobs == []
    assert len(await one.claim()) == 1


async def tells_no_time_of_a_delayed_job(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    (claimed,) = await one.claim()
    await one.store.retry(claimed.receipt, 100.0, "busy")
    assert (await one.store.claim({"q": Want(1)})).next_due is None


async def tells_no_depths(bench: Any) -> None:
    one = await bench.process()
    await one.enqueue(bench.job())
    assert await one.store.depths() is None


async def wakes_one_process(bench: Any) -> None:
    processes = [await bench.process() for _ in range(2)]
    for process in processes:
        await process.store.listens()
    before = {process.name: process.wakes for process in processes}

    def woken() -> list[Any]:
        return [process for process in processes if process.wakes > before[process.name]]

    await processes[0].enqueue(bench.job())
    (holder,) = await until(woken)
    (other,) = (process for process in processes if process is not holder)
    assert await other.claim() == []
    assert woken() == [holder]


async def spread(bench: Any) -> list[Any]:
    """Two processes that each hold unclaimed jobs of the same site; the first holds the oldest."""
    one, two = await bench.process(), await bench.process()
    await one.store.listens()
    await one.enqueue(bench.job())
    await until(lambda: one.store.inspect().waiting)
    await two.store.listens()
    while not two.store.inspect().waiting:
        before = one.store.inspect().waiting
        await one.enqueue(bench.job())
        await until(lambda before=before: one.store.inspect().waiting != before or two.store.inspect().waiting)
    return [one, two]


async def lets_a_job_lose_its_place(bench: Any) -> None:
    one, two = await spread(bench)
    (oldest,) = await one.claim(1)
    await one.store.give_back([oldest.receipt])
    (next_one,) = await two.claim(1)
    assert next_one.job.id != oldest.job.id


async def believes_any_ledger(bench: Any) -> None:
    one = await bench.process()
    assert await one.store.recover("nobody", ["no-such-job"], "killed") == 1


async def hands_out_a_sites_jobs_to_two_processes(bench: Any) -> None:
    one, two = await spread(bench)
    (first,) = await one.claim(1, ordered=True)
    (second,) = await two.claim(1, ordered=True)
    assert first.job.site == second.job.site


async def lets_two_suspects_run(bench: Any) -> None:
    await suspects(bench, "q", "q")
    one, two = await bench.process(), await bench.process()
    first, second = await one.claim_solo(), await two.claim_solo()
    assert len(set(ids(first + second))) == 2
    for process, (claimed,) in ((one, first), (two, second)):
        assert await process.store.ack(claimed.receipt) is True


BROKEN: dict[Promise, Callable[[Any], Awaitable[None]]] = {
    Promise.DURABLE: loses_jobs_with_the_process,
    Promise.FAIR_CLAIMS: lets_a_quiet_site_wait,
    Promise.COMPLETE_CLAIMS: claims_nothing_while_a_job_is_ready,
    Promise.NEXT_DUE: tells_no_time_of_a_delayed_job,
    Promise.DEPTHS: tells_no_depths,
    Promise.WAKES_ALL: wakes_one_process,
    Promise.KEEPS_PLACE: lets_a_job_lose_its_place,
    Promise.KNOWS_HOLDERS: believes_any_ledger,
    Promise.ORDER_ACROSS_PROCESSES: hands_out_a_sites_jobs_to_two_processes,
    Promise.ONE_SUSPECT: lets_two_suspects_run,
}
LACKING = [(kind, promise) for kind in KINDS for promise in kind.store_class.promises.lacking]


@pytest.mark.parametrize(
    ("bench", "promise"), LACKING, indirect=["bench"], ids=[f"{kind.kind}-{promise.name}" for kind, promise in LACKING]
)
@ensureDeferred
async def test_what_is_not_promised_is_lacking(bench: Any, promise: Promise) -> None:
    await BROKEN[promise](bench)


@pytest.mark.parametrize("promise", Promise)
def test_each_promise_has_a_clause_that_it_binds(promise: Promise) -> None:
    suite = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    clauses = [line for line in suite.splitlines() if line.startswith("@pytest.mark.promised(")]
    assert [line for line in clauses if str(promise) in line]
