"""RabbitMQ's consumer_timeout counts from delivery: what waits in a child before it begins must not use it up."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from tests.servers.rabbitmq import RabbitMq

FULL = bool(os.environ.get("SNQD_FULL"))
QUICK = 3_000
LONG = 60 if FULL else 24
SECONDS = 3 if FULL else 1.5
"""Of a long job."""
CONSUMER_TIMEOUT = 20 if FULL else 10
"""Seconds; less than it takes to run what a child was sent while the jobs were quick."""
TIMEOUT = 15 if FULL else 8
_ARGUMENTS = "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"


class Impatient(RabbitMq):
    """Looks twice a second for what was delivered and not acknowledged for :data:`CONSUMER_TIMEOUT`."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        argv, env = super().command()
        options = {"consumer_timeout": 1000 * CONSUMER_TIMEOUT, "channel_tick_interval": 500}
        arguments = " ".join(f"-rabbit {name} {number}" for name, number in options.items())
        return argv, {**env, _ARGUMENTS: f"{env[_ARGUMENTS]} {arguments}"}


@pytest.mark.parametrize("broker", [Impatient], indirect=True)
def test_jobs_that_take_long_behind_quick_ones_do_not_wear_out_the_brokers_patience(
    farm_on: Callable[..., Farm],
) -> None:
    farm = farm_on("farm", concurrency=1, timeout=TIMEOUT)
    farm.config.write_text(farm.config.read_text().replace("threads = 2", "threads = 1"))
    with connect(farm.config) as queue:
        queue.enqueue_many(("alpha", "note", {}) for _ in range(QUICK))
        queue.enqueue_many(("alpha" if n % 3 else "beta", "note", {"seconds": SECONDS}) for n in range(LONG))
    farm.start()
    wait_until(lambda: len(farm.journal.handled()) == QUICK + LONG, LONG * SECONDS * 2 + 60, "the end of all jobs")
    runs = farm.journal.runs()
    assert "no connection to" not in farm.log()
    assert len(runs) == QUICK + LONG
    assert {run.attempt for run in runs} == {1}
    assert farm.stop() == 0
