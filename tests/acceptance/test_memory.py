"""The soft memory limit: leaks cost processes, not jobs; a limit that is too tight costs neither."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from farm import Farm
from waiting import wait_until
from workers import counting_workers

FULL = bool(os.environ.get("SNQD_FULL"))
LEAKS = 5000 if FULL else 300
"""Jobs that leak a megabyte each."""
SOFTLIMIT = "200m" if FULL else "90m"
REPLACED = "a fresh one takes its place"
TOO_LOW = "is below what a fresh child of group main needs"
MEGABYTE = 1024**2


@pytest.mark.slow
def test_a_leak_has_children_replaced_again_and_again_and_loses_nothing(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"softlimit": SOFTLIMIT, "concurrency": 2}})
    farm.start()
    with counting_workers(farm) as claiming:
        farm.enqueue("alpha", "leaky", '{"megabytes": 1, "seconds": 0.05}', "--count", LEAKS)
        wait_until(lambda: len(farm.journal.handled()) == LEAKS, 300, "every job handled")
    assert farm.log().count(REPLACED) >= LEAKS / 100
    assert min(claiming) >= 1
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
    assert farm.dead() == []
    assert TOO_LOW not in farm.log()
    assert "killed by" not in farm.log()


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
