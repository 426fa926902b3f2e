"""The system's clock is set while a daemon works, forward and back: nobody hangs, dies or is cancelled by it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faketime_clock import SetClock, needs_faketime
from farm import Farm
from notify_listener import Listener
from waiting import wait_until

HANG_TIMEOUT = 12
HOUR = 3600


@pytest.fixture
def clocked(make_farm: Callable[..., Farm]) -> tuple[Farm, SetClock]:
    """A farm and its clock."""
    needs_faketime()
    farm = make_farm(sections={"snqd": {"hang_timeout": HANG_TIMEOUT}})
    return farm, SetClock(farm)


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A manager that wants to hear of progress every three seconds."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    made = Listener(str(tmp_path / "notify"))
    yield made
    made.close()


def test_set_back_by_two_minutes_systemd_goes_on_hearing_of_progress(
    listener: Listener, clocked: tuple[Farm, SetClock]
) -> None:
    farm, clock = clocked
    farm.start()
    clock.step(-120)
    before = len(listener.heard("WATCHDOG=1"))
    wait_until(lambda: len(listener.heard("WATCHDOG=1")) >= before + 4, 60, "signs of progress")


def test_set_back_by_ten_minutes_a_child_that_hangs_is_ended_in_time(clocked: tuple[Farm, SetClock]) -> None:
    farm, clock = clocked
    farm.start()
    clock.step(-600)
    farm.enqueue("alpha", "stuck", json.dumps({"in": "loop", "once": True}))
    wait_until(lambda: farm.journal.runs("stuck"), 60, "the first attempt")
    wait_until(lambda: farm.journal.handled("stuck"), 5 * HANG_TIMEOUT, "the second attempt, in another process")
    assert "was killed by signal 6" in farm.log()


def test_set_back_by_three_hours_the_successor_of_a_dead_child_lives(clocked: tuple[Farm, SetClock]) -> None:
    farm, clock = clocked
    farm.start()
    farm.enqueue("alpha", "note", "--count", 20)
    wait_until(lambda: farm.status()["queues"] and farm.queue("note")["handled"] == 20, 60, "twenty notes")
    first = set(farm.child_pids())
    clock.step(-3 * HOUR)
    farm.kill(min(first), signal.SIGKILL)
    wait_until(lambda: farm.ready() and len(set(farm.child_pids()) - first) == 1, 60, "a successor")
    second = set(farm.child_pids())
    farm.enqueue("alpha", "note", "--count", 20)
    wait_until(lambda: farm.queue("note")["handled"] == 40, 60, "twenty more notes")
    assert set(farm.child_pids()) == second
    assert farm.snqctl("status").returncode == 0


@pytest.mark.parametrize("step", [700, 3 * HOUR])
def test_set_forward_no_job_is_older_than_it_is(clocked: tuple[Farm, SetClock], step: int) -> None:
    farm, clock = clocked
    farm.start()
    farm.enqueue("alpha", "note", json.dumps({"seconds": 5}))
    wait_until(lambda: farm.journal.runs("note"), 60, "a job at work")
    clock.step(step)
    wait_until(lambda: farm.journal.handled("note"), 60, "its end")
    assert [run.attempt for run in farm.journal.runs("note")] == [1]
    assert "gave no sign of life" not in farm.log()


def test_set_back_during_a_stop_it_stops(clocked: tuple[Farm, SetClock]) -> None:
    farm, clock = clocked
    farm.start()
    farm.enqueue("alpha", "note", json.dumps({"seconds": 60}))
    wait_until(lambda: farm.journal.runs("note"), 60, "a job at work")
    began = time.monotonic()
    assert farm.snqctl("stop").returncode == 0
    clock.step(-700)
    # Its drain_timeout is ten seconds.
    assert farm.daemon.wait(60) == 0
    assert time.monotonic() - began > 5
