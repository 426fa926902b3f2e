"""Suspects of daemons on brokers: the guilty are punished, and nobody else, whatever the broker calls redelivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from tests.servers.broker import Broker

WAITING = 5000


def attempts(*farms: Farm) -> list[int]:
    """Of the runs of the only killer, in no order."""
    return sorted(run.attempt for farm in farms for run in farm.journal.runs("killer"))


def test_a_killer_alone_reaches_the_morgue(farm_on: Callable[..., Farm]) -> None:
    farm = farm_on("farm", max_retries=2)
    farm.start()
    farm.enqueue("alpha", "note", "-", input='{"seconds": 0.05}\n' * 200)
    farm.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(farm.dead()), 60, "a dead letter")
    (letter,) = farm.dead()
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    assert letter["reason"] == "its process was killed by signal 9 (attempt 3 of 3)"
    wait_until(lambda: len(farm.journal.handled("note")) == 200, 30, "the end of all innocents")
    assert attempts(farm) == [1, 2, 3]
    assert farm.stop() == 0


def test_two_daemons_share_a_farm_and_its_suspects(farm_on: Callable[..., Farm], tmp_path: Path) -> None:
    morgue = f"sqlite:///{tmp_path}/morgue.db"
    one, two = farm_on("one", max_retries=2, morgue=morgue), farm_on("two", max_retries=2, morgue=morgue)
    one.start()
    two.start()
    one.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(one.dead()), 60, "a dead letter")
    (letter,) = two.dead()
    assert letter["attempts"] == 3
    assert attempts(one, two) == [1, 2, 3]


@pytest.mark.slow
def test_a_killed_broker_makes_nobody_guilty(farm_on: Callable[..., Farm], broker: Broker) -> None:
    farm = farm_on("farm")
    farm.start()
    with connect(str(farm.config)) as queue:
        queue.enqueue_many([("alpha", "note", {"seconds": 2})] * 100)
        wait_until(lambda: len(farm.journal.runs()) == 100, 30, "all slots taken")
        queue.enqueue_many([("beta", "note", None)] * WAITING)
    broker.kill()
    broker.start()
    back = time.monotonic()
    wait_until(lambda: len(farm.journal.handled()) == WAITING + 100, 60, "the end of all jobs")
    runs = farm.journal.runs()
    print(f"{broker.name}: all done {max(run.ended or 0 for run in runs) - back:.1f} s after its return")  # noqa: T201
    # One that had been sent to run alone would have counted an attempt.
    assert {run.attempt for run in runs} == {1}
    assert farm.dead() == []
    assert farm.stop() == 0
