"""What every store promises of accepting jobs: they come back as they were, in their order, and at their time."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from snqd.core.job import PHP
from snqd.stores.interface import Promise
from tests.contract.bench import FOREVER
from tests.patience import slowness


@ensureDeferred
async def test_jobs_come_back_as_they_were_enqueued(bench: Any) -> None:
    one = await bench.process()
    late = bench.job(body=b'{"id": 7}', created=1700000000.25, attempt=3, reason="it was late")
    said = bench.job("NULL", body=b"", created=1.75, reason='it said {"it\'s late", \\, NULL}')
    for jobs in ([late], [said, late]):
        await one.enqueue(*jobs)
        assert {claimed.job.site: claimed.job for claimed in await one.claim()} == {job.site: job for job in jobs}


BODIES = [
    b"",
    b"\0",
    b'"a\0b"',
    b'"\xff\xfe"',
    b"\xed\xa0\x80",
    '"\u00e9\u20ac\U0001f600"'.encode(),
    b'{"quote": "\\" \' \\\\"}',
    bytes(range(256)),
    b'a:1:{s:4:"\0*\0a";i:1;}',
    b"0123",
    b"1e3",
    b"[" * 2000,
    b'"' + b"x" * 10_000_000 + b'"',
]


@pytest.mark.parametrize("encoding", ["json", PHP])
@ensureDeferred
async def test_bodies_of_any_bytes_come_back_unchanged(bench: Any, encoding: str) -> None:
    one = await bench.process()
    some = random.Random(7)
    bodies = [*BODIES, *(some.randbytes(some.randrange(300)) for _ in range(200))]
    await one.enqueue(*(bench.job(body=body, encoding=encoding) for body in bodies))
    claimed = await one.claim(len(bodies))
    assert [each.job.body for each in claimed] == bodies
    assert {each.job.encoding for each in claimed} == {encoding}


@ensureDeferred
async def test_jobs_enqueued_together_keep_their_order_whatever_their_bodies(bench: Any) -> None:
    one = await bench.process()
    bodies = [b"{}", b"\0", b'"\xff"', b"{}", b"\0", b"1"]
    await one.enqueue(*(bench.job(body=body) for body in bodies))
    assert [each.job.body for each in await one.claim()] == bodies


@ensureDeferred
async def test_enqueues_in_flight_at_once_are_all_accepted_in_their_order(bench: Any) -> None:
    one = await bench.process()
    jobs = bench.jobs(500)
    await gatherResults([one.store.enqueue([job]) for job in jobs])
    assert await one.drain() == [job.id for job in jobs]


@pytest.mark.promised(Promise.WAKES_ALL)
@ensureDeferred
async def test_enqueueing_wakes_the_other_processes_and_the_own(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    woken = gatherResults([one.woken(), two.woken()])
    await one.enqueue(bench.job())
    await woken


@pytest.mark.promised(Promise.COMPLETE_CLAIMS)
@ensureDeferred
async def test_a_delayed_job_waits_for_its_time(bench: Any) -> None:
    one = await bench.process()
    due = reactor.seconds() + 0.2 * slowness()
    await one.enqueue(bench.job(not_before=due))
    assert await one.claim() == []
    (claimed,) = await one.claim_when_due()
    assert reactor.seconds() >= due
    assert (claimed.job.attempt, claimed.job.not_before) == (1, 0.0)


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
