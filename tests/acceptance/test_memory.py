"""The soft memory limit: leaks cost processes, not jobs; a limit that is too tight costs neither."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from farm import Farm
from waiting import wait_until
from workers import counting_workers

FULL = bool(os.environ.get("SNQD_FULL"))
BATCH = 600 if FULL else 150
"""Jobs that leak a megabyte each: more than two children have room for."""
REPLACEMENTS = 20 if FULL else 3
SOFTLIMIT = "200m" if FULL else "90m"
REPLACED = "a fresh one takes its place"
TOO_LOW = "is below what a fresh child of group main needs"
MEGABYTE = 1024**2


@pytest.mark.slow
def test_a_leak_has_children_replaced_again_and_again_and_loses_nothing(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"softlimit": SOFTLIMIT, "concurrency": 2}})
    farm.start()
    with counting_workers(farm) as claiming:
        for number in range(1, REPLACEMENTS + 1):
            leak(farm, number)
    assert min(claiming) >= 1
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
    assert farm.dead() == []
    assert TOO_LOW not in farm.log()
    assert "killed by" not in farm.log()


def leak(farm: Farm, number: int) -> None:
    """Leak the `number`-th batch, and wait until a child was replaced for it: a child that is full works on while the
    fresh one boots, which takes as long as the machine is slow."""
    farm.enqueue("alpha", "leaky", '{"megabytes": 1, "seconds": 0.05}', "--count", BATCH)
    wait_until(lambda: len(farm.journal.handled()) == number * BATCH, 60, "every job handled")
    wait_until(lambda: farm.log().count(REPLACED) >= number, 30, "the replacement")
    wait_until(lambda: farm.ready() and len(farm.child_pids()) == 2, 30, "the end of the old child")


def test_a_limit_just_above_what_a_child_needs_replaces_nobody(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm()
    farm.start()
    need = max(child["rss_bytes"] for child in farm.status()["groups"][0]["children"])
    farm.stop()
    farm.config.write_text(farm.config.read_text().replace("[queue]\n", f"[queue]\nsoftlimit = {need + MEGABYTE}\n"))
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 0.005}', "--count", 400)
    wait_until(lambda: len(farm.journal.handled()) == 400, 60, "every job handled")
    assert {child["restarts"] for child in farm.status()["groups"][0]["children"]} == {0}
    assert REPLACED not in farm.log()


def test_a_limit_that_no_child_can_keep_to_is_told_once(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"softlimit": "5m"}})
    farm.start()
    farm.enqueue("alpha", "note", "--count", 50)
    wait_until(lambda: len(farm.journal.handled()) == 50, 60, "every job handled")
    wait_until(lambda: TOO_LOW in farm.log(), 30, "the error")
    assert farm.log().count(TOO_LOW) == 1
    assert {child["restarts"] for child in farm.status()["groups"][0]["children"]} == {0}
