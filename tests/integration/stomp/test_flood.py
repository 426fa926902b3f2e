"""A site that floods a broker keeps others waiting while its jobs are moved to its lane, and not after that."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from tests.servers.broker import Broker
from tests.servers.rabbitmq import RabbitMq

FULL = bool(os.environ.get("SNQD_FULL"))
FLOOD = 50_000 if FULL else 3_000
QUIET = 20
LONGEST_WAIT = 0.2
NO_OPS = 3_000
SIFTED = "keep others out"


@pytest.mark.parametrize("broker", [RabbitMq], indirect=True)
def test_a_quiet_site_comes_through_while_another_floods(farm_on: Callable[..., Farm], broker: Broker) -> None:
    farm = farm_on("farm", concurrency=2)
    with connect(farm.config) as queue:
        queue.enqueue_many(("alpha", "note", {"seconds": 0.005}) for _ in range(FLOOD))
        queue.enqueue_many(("beta", "note", {}) for _ in range(QUIET))
    farm.start()
    wait_until(lambda: quiet_runs(farm) == QUIET, 60, "the quiet site's jobs behind the flood")
    runs = farm.journal.runs()
    last = max(run.started for run in runs if run.site == "beta")
    sifted, ahead = last - runs[0].started, sum(run.started < last for run in runs)

    sent = {}
    with connect(farm.config) as queue:
        for _ in range(QUIET):
            sent[queue.enqueue("beta", "note", {})] = time.monotonic()
            time.sleep(0.02)  # apart from each other
    wait_until(lambda: quiet_runs(farm) == 2 * QUIET, 60, "the quiet site's later jobs")
    waits = sorted(run.started - sent[run.job] for run in farm.journal.runs() if run.job in sent)
    p95 = waits[QUIET * 95 // 100 - 1]
    print(  # noqa: T201
        f"{broker.name}: {sifted:.2f} s behind {FLOOD:,}, of which {ahead:,} ran; afterwards p95 {1000 * p95:.0f} ms"
    )
    assert ahead < 0.6 * FLOOD, "the quiet site waited for the whole flood"
    assert p95 < LONGEST_WAIT
    wait_until(lambda: len(farm.journal.handled("note")) == FLOOD + 2 * QUIET, 120, "the end of the flood")

    sifted_before = farm.log_path.read_text().count(SIFTED)
    assert sifted_before >= 1
    with connect(farm.config) as queue:
        queue.enqueue_many(("alpha", "later", {"good": 1}) for _ in range(NO_OPS))
    wait_until(lambda: len(farm.journal.handled("later")) == NO_OPS, 60, "the end of the jobs that take no time")
    assert farm.log_path.read_text().count(SIFTED) == sifted_before
    assert farm.stop() == 0


def quiet_runs(farm: Farm) -> int:
    return sum(run.site == "beta" and run.ended is not None for run in farm.journal.runs("note"))
