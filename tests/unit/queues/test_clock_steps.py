"""The system's clock is set while a child works: jobs run as long as they ran, and retries wait for their dates."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from snqd.handlers import RetryLater
from tests.unit.dates import STEPS

pytestmark = pytest.mark.parametrize("step", STEPS)
TIMEOUT = 600.0


def test_a_job_at_work_is_as_old_as_it_is(bench: Any, step: float) -> None:
    bench.handle = bench.wait
    manager = bench.manager()
    (job,) = bench.enqueue(1)
    bench.advance(3)
    bench.dates.step(step)
    bench.advance(TIMEOUT - 4)
    assert manager.report()["in_flight"] == 1
    bench.waits[job].callback(None)
    bench.turn()
    ((*_, handled, retried, dead, seconds),) = bench.counters.take()
    assert (handled, retried, dead) == (1, 0, 0)
    assert seconds == TIMEOUT - 1


def test_a_job_that_never_ends_is_cancelled_after_its_timeout(bench: Any, step: float) -> None:
    bench.handle = lambda job: Deferred()
    manager = bench.manager()
    bench.enqueue(1)
    bench.dates.step(step)
    bench.advance(TIMEOUT - 1)
    assert manager.report()["in_flight"] == 1
    bench.advance(2)
    assert manager.report()["in_flight"] == 0


def test_a_drain_ends_after_its_timeout(bench: Any, step: float) -> None:
    bench.handle = bench.wait
    manager = bench.manager()
    bench.enqueue(1)
    drained = manager.drain(20)
    bench.dates.step(step)
    bench.advance(19)
    assert not drained.called
    bench.advance(2)
    assert drained.called


def test_a_retry_runs_at_its_date(bench: Any, step: float) -> None:
    def later(job: Any) -> None:
        if job.attempt == 1:
            raise RetryLater(3600, "busy")

    bench.handle = later
    bench.manager()
    bench.enqueue(1)
    bench.dates.step(step)
    bench.advance(max(3600 - step, 3600))  # the timer that was set, and the rest of a wait that has become longer
    bench.advance(1)
    if step < 0:
        bench.advance(-step)
    assert len(bench.handled) == 2
