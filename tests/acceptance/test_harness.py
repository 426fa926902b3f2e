"""The harness itself: what the other tests rely on when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from farm import Farm, alive
from journal import Journal
from waiting import wait_until


def test_no_process_of_a_farm_outlives_it(make_farm: Callable[..., Farm]) -> None:
    farm, neighbour = make_farm(), make_farm()
    # As far from the test as a daemon's child can get: another session, and no living parent.
    orphan = _orphan(farm)
    other = _orphan(neighbour)
    farm.close()
    assert not alive(orphan)
    assert alive(other)
    neighbour.close()
    assert not alive(other)


def _orphan(farm: Farm) -> int:
    command = "setsid sleep 600 >/dev/null 2>&1 & echo $!"
    told = subprocess.run(["/bin/sh", "-c", command], env=farm.environment(), capture_output=True, check=True)
    pid = int(told.stdout)
    wait_until(lambda: pid in {process.pid for process in farm.processes()}, 10, "the orphan")
    return pid


def test_a_farm_refuses_to_kill_what_is_not_its_own(farm: Farm) -> None:
    with pytest.raises(AssertionError, match="not ours"):
        farm.kill(psutil.Process().pid)


def test_waiting_ends_with_what_was_waited_for() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), 5, "seven") == 7
    with pytest.raises(AssertionError, match=r"waited [0-9.]+ s for Godot; at last it was \[\]"):
        wait_until(list, 0.01, "Godot")


def test_a_busy_machine_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    def slow() -> float:
        measured.append(50.0)
        return measured[-1]

    monkeypatch.setattr("waiting.slowness", slow)
    assert wait_until(lambda: measured, 0.01, "what comes after the first timeout") == [50.0]
    with pytest.raises(AssertionError, match="waited"):
        wait_until(list, 0.01, "Godot")
    assert measured == [50.0, 50.0]


def test_a_journal_tells_ended_runs_from_killed_ones(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.runs() == []
    journal.path.write_text(
        "start j1 alpha note 1 100 1.0\n"
        "start j2 alpha note 1 100 1.5\n"
        "end j2 alpha note 1 100 2.0\n"
        "start j1 alpha note 2 101 3.0\n"
        "end j1 alpha note 2 101 4.0\n"
    )
    assert [run.ended for run in journal.by_job()["j1"]] == [None, 4.0]
    assert journal.handled("note") == {"j1", "j2"}
    assert journal.handled("other") == set()
