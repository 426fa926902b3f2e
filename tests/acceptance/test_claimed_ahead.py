"""What the children have claimed ahead, when jobs suddenly take long: others get their turn, and a pause is one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from farm import Farm
from waiting import wait_until

QUICK = 6000
LONG = 700
SECONDS = 2
"""Of a long job."""
PATIENCE = 20
"""Seconds for what is due within one long job's time."""


@pytest.fixture
def flooded(make_farm: Callable[..., Farm]) -> Farm:
    """A farm of eight slots, all of them taken by long jobs of one site behind a flood of jobs that take no time."""
    farm = make_farm(handlers={"mixed": "farm_handlers.Mixed"}, sections={"queue": {"concurrency": 4}})
    farm.enqueue("alpha", "mixed", "--count", QUICK)
    farm.enqueue("alpha", "mixed", f'{{"seconds": {SECONDS}}}', "--count", LONG)
    farm.start()
    wait_until(lambda: len(farm.journal.runs()) >= 8, 60, "long jobs in all slots")
    return farm


def test_other_sites_and_queues_get_the_next_free_slot(flooded: Farm) -> None:
    flooded.enqueue("beta", "mixed", '{"seconds": 1}')
    flooded.enqueue("beta", "chain", '{"notes": 0}')
    wait_until(lambda: "beta" in {run.site for run in flooded.journal.runs("mixed")}, PATIENCE, "the other site's job")
    wait_until(lambda: flooded.journal.runs("chain"), PATIENCE, "the other queue's job")
    row = wait_until(lambda: _adds_up(flooded), PATIENCE, "a status that adds up")
    assert row["waiting"] > LONG / 2


def test_a_pause_stops_what_was_claimed_too(flooded: Farm) -> None:
    assert flooded.snqctl("pause", "mixed").returncode == 0
    paused = time.monotonic()
    wait_until(lambda: flooded.queue("mixed")["in_flight"] == 0, PATIENCE, "the end of what runs")
    row = flooded.queue("mixed")
    assert (row["claimed"], row["paused"]) == (0, True)
    begun = flooded.journal.runs("mixed")
    assert max(run.started for run in begun) < paused + 1
    assert row["waiting"] == LONG - len(begun)

    assert flooded.snqctl("resume", "mixed").returncode == 0
    wait_until(lambda: len(flooded.journal.runs("mixed")) > len(begun), PATIENCE, "a job of the resumed queue")


def _adds_up(farm: Farm) -> dict[str, int] | None:
    """The queue's row, once what waits, what is claimed and what runs is all that there is."""
    row = farm.queue("mixed")
    done = len(farm.journal.handled("mixed"))
    there = row["waiting"] + row["claimed"] + row["in_flight"] + row["unsettled"]
    return row if there == LONG + 1 - done else None
