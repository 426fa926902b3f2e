"""Daemons on one store, of which only one at a time may run an exclusive group: the holder is killed and stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from farm import STOP_TIMEOUT, Farm, start_all
from journal import Run
from waiting import wait_until

from tests.servers.postgresql import postgresql
from tests.servers.redis import RedisServer

LEASE = 4.0
PATIENCE = 60.0
WORK = 0.05
JOBS = 2_000
"""More than are done while a test runs."""


@pytest.fixture(params=["postgresql", "redis"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    if request.param == "redis":
        server = RedisServer(tmp_path / "redis")
        server.start()
        yield {"subsystem": "redis", "redis": server.url}
        server.stop()
    else:
        database = postgresql()
        yield {"db": database.url(database.database())}


@pytest.fixture
def hosts(keys: dict[str, object], tmp_path: Path) -> Iterator[tuple[Farm, Farm]]:
    """Two hosts whose queue note is in an exclusive group, and which write into one journal."""
    made: list[Farm] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        sections: dict[str, dict[str, object]] = {
            "snqd": {"id": name, "threads": 1},
            "queue": {**keys, "lease": LEASE, "concurrency": 1},
            "group:single": {"queues": "note", "exclusive": "yes"},
        }
        if made:
            sections["app:farm"] = {"journal": made[0].journal.path}
        made.append(Farm(folder, sections=sections))
        made[-1].journal = made[0].journal
    one, two = made
    yield one, two
    for farm in made:
        farm.close()


def test_a_process_that_must_end_ends_though_it_never_looks_up() -> None:
    code = "from snqd.child.child import end_hard\nend_hard(0.1)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE).returncode == -signal.SIGALRM


def group(farm: Farm) -> dict[str, Any]:
    answer = farm.status()
    return next(each for each in answer["groups"] if each["name"] == "single")


def roles(hosts: tuple[Farm, Farm]) -> tuple[Farm, Farm]:
    """Who holds the lease, and who waits."""

    def named() -> list[str]:
        names = [group(farm)["holder"] for farm in hosts]
        return names if names[0] and names[0] == names[1] else []

    name = wait_until(named, PATIENCE, "a holder that both name")[0]
    holder, waiting = sorted(hosts, key=lambda farm: farm.folder.name != name)
    wait_until(lambda: group(waiting)["children"][0]["state"] == "standby", PATIENCE, "one that waits")
    assert group(holder)["children"][0]["state"] != "standby"
    return holder, waiting


def pid_of(farm: Farm) -> int:
    return int(group(farm)["children"][0]["pid"])


def work(farm: Farm) -> None:
    farm.enqueue("alpha", "note", json.dumps({"seconds": WORK}), "--count", JOBS)
    wait_until(lambda: len(farm.journal.runs()) > 5, PATIENCE, "jobs at work")


def runs_of(farm: Farm, pid: int) -> list[Run]:
    return [run for run in farm.journal.runs() if run.pid == pid]


def overlaps(runs: list[Run], dead: float = float("inf")) -> list[tuple[Run, Run]]:
    """Runs in two processes at the same time; what was not ended by `dead` ended then."""
    ordered = sorted(runs, key=lambda run: run.started)
    pairs = pairwise(ordered)
    return [(a, b) for a, b in pairs if a.pid != b.pid and (dead if a.ended is None else a.ended) > b.started]


def test_one_host_runs_an_exclusive_group_and_another_goes_on_when_it_stops(hosts: tuple[Farm, Farm]) -> None:
    start_all(hosts)
    holder, waiting = roles(hosts)
    work(holder)
    first, second = pid_of(holder), pid_of(waiting)
    assert {run.pid for run in holder.journal.runs()} == {first}
    assert holder.stop() == 0
    wait_until(lambda: runs_of(waiting, second), PATIENCE, "the successor's work")
    assert overlaps(waiting.journal.runs()) == []
    assert group(waiting)["holder"] == waiting.folder.name


def test_the_successor_of_a_host_that_vanished_begins_within_the_lease(hosts: tuple[Farm, Farm]) -> None:
    start_all(hosts)
    holder, waiting = roles(hosts)
    work(holder)
    second = pid_of(waiting)
    for process in holder.processes():
        holder.kill(process.pid)
    holder.daemon.wait(STOP_TIMEOUT)
    killed = time.monotonic()
    begun = wait_until(lambda: runs_of(waiting, second), PATIENCE, "the successor's work")[0].started
    print(f"after {begun - killed:.2f} s of a lease of {LEASE:g} s")  # noqa: T201
    # A look, a sixth of the lease, before the first silent one; the machine may be busy.
    assert LEASE / 2 < begun - killed < LEASE * 4 / 3 + 2
    assert overlaps(waiting.journal.runs(), killed) == []


def test_a_crash_of_the_holders_child_is_no_matter_for_the_other_host(hosts: tuple[Farm, Farm]) -> None:
    start_all(hosts)
    holder, waiting = roles(hosts)
    work(holder)
    first, second = pid_of(holder), pid_of(waiting)
    holder.kill(first)
    wait_until(lambda: len({run.pid for run in holder.journal.runs()}) > 1, PATIENCE, "a successor's work")
    runs = holder.journal.runs()
    last = max(run.started for run in runs if run.pid == first)
    begun = min(run.started for run in runs if run.pid != first)
    print(f"after {begun - last:.2f} s of a lease of {LEASE:g} s")  # noqa: T201
    assert not runs_of(waiting, second)
    assert group(waiting)["holder"] == holder.folder.name


def test_a_host_that_stood_still_past_its_lease_begins_nothing_and_waits(hosts: tuple[Farm, Farm]) -> None:
    start_all(hosts)
    holder, waiting = roles(hosts)
    work(holder)
    first, second = pid_of(holder), pid_of(waiting)
    stopped = [process.pid for process in holder.processes()]
    for pid in stopped:
        holder.kill(pid, signal.SIGSTOP)
    stood = time.monotonic()
    wait_until(lambda: len(runs_of(waiting, second)) > 5, PATIENCE, "the successor's work")
    for pid in stopped:
        holder.kill(pid, signal.SIGCONT)
    wait_until(lambda: "is lost, so this process leaves" in holder.log(), PATIENCE, "that it has noticed")
    wait_until(
        lambda: (now := group(holder)["children"]) and now[0]["pid"] not in (None, first), PATIENCE, "a fresh one"
    )
    assert roles(hosts) == (waiting, holder)
    assert max(run.started for run in runs_of(holder, first)) < stood
    assert {run.pid for run in holder.journal.runs()} == {first, second}
