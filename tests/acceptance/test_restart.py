"""A rolling restart that nobody notices."""

from __future__ import annotations

import json
import os
import signal
import time
from bisect import bisect
from collections.abc import Callable

import pytest
from farm import Farm
from load import Load
from waiting import LONGEST_WAIT, wait_until
from workers import counting_workers

FULL = bool(os.environ.get("SNQD_FULL"))
RATE = 2000 if FULL else 300
"""Jobs a second."""
WINDOW = 1 if FULL else 2
"""Seconds in which a good part of them must be done, wherever they begin."""
PART = 2 if FULL else 4
"""The worst window before the restart brings at most so many times as much: children that boot need processors too."""
CALM = 2 * WINDOW
"""Seconds of load before the restart."""
GOOD = "from farm_handlers import Note as Handler\n"


@pytest.fixture
def fragile(make_farm: Callable[..., Farm]) -> Farm:
    """A farm with a handler in a module of its own folder."""
    farm = make_farm(handlers={"fragile": "fragile.Handler"}, sections={"snqd": {"threads": 2, "drain_timeout": 10}})
    (farm.folder / "fragile.py").write_text(GOOD)
    return farm


def fewest_ends(farm: Farm, begin: float, end: float) -> int:
    """How many jobs ended in the worst WINDOW between two times of `time.monotonic()`, wherever that began."""
    ends = sorted(run.ended for run in farm.journal.runs() if run.ended is not None)
    # The worst window begins just behind some job's end.
    begins = [begin, *(at for at in ends if begin < at <= end - WINDOW)]
    return min(bisect(ends, at + WINDOW) - bisect(ends, at) for at in begins)


def test_under_load_nothing_is_lost_nothing_runs_twice_and_none_is_missing(farm: Farm) -> None:
    farm.start()
    before = set(farm.child_pids())
    with Load(farm.config, ("alpha", "beta"), RATE, {"seconds": 0.005}) as load, counting_workers(farm) as counts:
        wait_until(lambda: len(farm.journal.handled()) > RATE, 30, "jobs under way")
        calm = time.monotonic()
        wait_until(lambda: time.monotonic() > calm + CALM, 30, "what is done without a restart")
        begin = time.monotonic()
        for _ in range(2):
            answer = farm.snqctl("restart")
            assert (answer.returncode, answer.stdout) == (0, "restarted: 2 children were replaced\n"), answer.stderr
        end = time.monotonic()
    assert not before & set(farm.child_pids())
    wait_until(lambda: farm.queue("note")["handled"] >= len(load.ids), 60, "every job")
    assert farm.journal.handled() == set(load.ids)
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
    assert {run.attempt for run in farm.journal.runs()} == {1}
    assert min(counts) == 2
    assert fewest_ends(farm, begin, end) >= max(fewest_ends(farm, calm, begin) / PART, 1)


def test_long_jobs_end_in_the_old_child_while_the_fresh_one_works(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"drain_timeout": LONGEST_WAIT}})
    farm.start()
    gate = farm.folder / "go"
    farm.enqueue("alpha", "until", json.dumps({"file": str(gate)}), "--count", 4)
    wait_until(lambda: len(farm.journal.runs()) == 4, 30, "four running jobs")
    farm.kill(farm.daemon.pid, signal.SIGUSR2)
    wait_until(lambda: "is ready" in farm.log().partition("rolling restart")[2], 30, "a fresh child")
    farm.enqueue("alpha", "note", "--count", 4)
    wait_until(lambda: len(farm.journal.handled("note")) == 4, 30, "the fresh child's jobs")
    assert farm.journal.handled("until") == set()
    gate.touch()
    wait_until(lambda: len(farm.journal.handled("until")) == 4, 30, "the old child's jobs")
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
    wait_until(lambda: "children replaced: 2" in farm.log(), 40, "the end of the restart")


def test_a_module_broken_in_between_stops_it_and_work_goes_on(fragile: Farm) -> None:
    farm = fragile
    farm.start()
    pids = farm.child_pids()
    (farm.folder / "fragile.py").write_text("import no_such_module\n")
    with Load(farm.config, ("alpha",), 100, {"seconds": 0.005}) as load:
        answer = farm.snqctl("restart")
    assert answer.returncode == 1
    assert "the rolling restart has stopped at child 1 of group main" in answer.stderr
    assert "can't import fragile.Handler" in answer.stderr
    assert "no_such_module" in answer.stderr
    assert farm.child_pids() == pids
    farm.enqueue("alpha", "fragile")
    wait_until(lambda: len(farm.journal.handled()) == len(load.ids) + 1, 30, "all jobs, by the old children")

    (farm.folder / "fragile.py").write_text(GOOD)
    assert farm.snqctl("restart").returncode == 0
    assert not set(pids) & set(farm.child_pids())


def test_new_code_comes_with_the_configuration_that_names_it(fragile: Farm) -> None:
    farm = fragile
    farm.start()
    (farm.folder / "fragile.py").write_text(GOOD + "Fresh = Handler\n")
    farm.config.write_text(farm.config.read_text().replace("fragile = fragile.Handler", "fragile = fragile.Fresh"))
    answer = farm.snqctl("update")
    assert answer.returncode == 2  # the running children have the old module
    assert "has no attribute 'Fresh'" in answer.stderr
    answer = farm.snqctl("restart")
    assert answer.returncode == 0, answer.stderr
    farm.enqueue("alpha", "fragile")
    wait_until(farm.journal.handled, 30, "a job by the new code")


def test_a_wrong_configuration_keeps_it_from_beginning(farm: Farm) -> None:
    farm.start()
    pids = farm.child_pids()
    good = farm.config.read_text()
    farm.config.write_text(good + "\n[nope]\n")
    farm.kill(farm.daemon.pid, signal.SIGUSR2)
    wait_until(lambda: "[nope]: unknown section" in farm.log(), 30, "the refusal")
    farm.config.write_text(good)
    assert farm.child_pids() == pids


def test_an_exclusive_child_is_never_there_twice(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"group:one": {"queues": "note", "exclusive": "yes"}, "snqd": {"threads": 1}})
    farm.start()
    with Load(farm.config, ("alpha",), 100, {"seconds": 0.02}) as load:
        wait_until(lambda: len(farm.journal.handled()) > 20, 30, "jobs under way")
        assert farm.snqctl("restart").returncode == 0
        wait_until(lambda: len({run.pid for run in farm.journal.runs()}) == 2, 30, "jobs of the fresh child")
    wait_until(lambda: len(farm.journal.handled()) == len(load.ids), 30, "every job")
    spans: dict[int, tuple[float, float]] = {}
    for run in farm.journal.runs():
        first, _ = spans.get(run.pid, (run.started, 0.0))
        spans[run.pid] = first, run.ended or 0.0
    (_, end_of_old), (start_of_new, _) = sorted(spans.values())
    assert end_of_old <= start_of_new
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
