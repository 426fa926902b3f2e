"""Delayed jobs survive a kill of the broker, and are neither early nor late."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random

from farm import Farm
from waiting import wait_until

from snqd import connect
from tests.patience import slowness
from tests.servers.broker import Broker

FULL = bool(os.environ.get("SNQD_FULL"))
JOBS, LONGEST = (1_000, 30.0) if FULL else (300, 8.0)
"""How many jobs, and for how many seconds they are delayed at most on a quiet machine: so long that the broker is back
before all of them are due."""
AT_MOST = 60.0
"""Seconds; the same on any machine."""
LATE = 1.0
"""Seconds on a quiet machine; where the broker is away for long it includes the jobs that are due before."""


def test_delays_outlive_the_broker_and_are_kept(farm_on: Callable[..., Farm], broker: Broker) -> None:
    farm = farm_on("farm")
    farm.start()
    some, pace = Random(11), slowness()
    longest = min(LONGEST * pace, AT_MOST)
    delays = [some.uniform(1.0, longest) for _ in range(JOBS)]
    with connect(farm.config) as queue:
        before = time.monotonic()
        ids = queue.enqueue_many(("alpha", "note", {}, delay) for delay in delays)
        took = time.monotonic() - before
    broker.kill()
    broker.start()
    back = time.monotonic()
    wait_until(lambda: len(farm.journal.handled("note")) == JOBS, longest + 30, "the end of all jobs")
    started = {run.job: run.started for run in reversed(farm.journal.runs("note"))}
    assert set(started) == set(ids)
    due = {job: before + delay for job, delay in zip(ids, delays, strict=True)}
    early = min(started[job] - due[job] for job in ids)
    late = max(started[job] - max(due[job] + took, back) for job in ids)
    waited = sum(due[job] < back for job in ids)
    # What is due while the broker is away counts from its return.
    print(f"{broker.name}: {early:.3f} s at the earliest, {late:.3f} s at the latest; {waited} were due meanwhile")  # noqa: T201
    assert early >= 0
    assert late <= LATE * max(pace, slowness())
    assert farm.stop() == 0
