"""Daemons on PostgreSQL, MariaDB and Redis, as an operator has them: children, parents, hosts and servers are killed.

``SNQD_FULL=1`` runs the two large ones with 20,000 jobs.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import psutil
import pytest
from faketime_clock import SetClock, needs_faketime
from farm import STOP_TIMEOUT, Farm, start_all
from journal import Run
from waiting import wait_until

from snqd import connect
from snqd.core.errors import StoreError
from snqd.ops.control import call
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.redis import RedisServer

FULL = os.environ.get("SNQD_FULL") == "1"
JOBS = 20_000 if FULL else 2_000
KILLS = 60 if FULL else 8
PARENT_DIES_AT = {20, 40} if FULL else {3}
SERVER_DIES_AT = {10, 30, 50} if FULL else {1, 6}
BATCH = 20
SETTLING = 0.5
"""Seconds after a run's end in which its settlement may still be on its way to the disk."""
AHEAD = 1.0
"""Seconds before its start in which a job may have been claimed: PostgreSQL's crash undoes its last claims."""
LEASE = 4.0


@attrs.frozen
class Server:
    """A server, and the keys of ``[queue]`` that name it."""

    process: Any
    keys: dict[str, object]


def _redis(folder: Path) -> Server:
    server = RedisServer(folder / "redis")
    server.start()
    return Server(server, {"subsystem": "redis", "redis": server.url, "morgue": f"sqlite:///{folder}/morgue.db"})


def _sql(server: Any) -> Server:
    url = server.url(server.database())
    return Server(server, {"db": url, "morgue": url})


STARTS: dict[str, Callable[[Path], Server]] = {
    "redis": _redis,
    "postgresql": lambda folder: _sql(postgresql()),
    "mariadb": lambda folder: _sql(mariadb()),
}


@pytest.fixture(params=STARTS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    made = STARTS[request.param](tmp_path)
    yield made
    if request.param == "redis":
        made.process.stop()
    elif made.process.process.poll() is not None:
        made.process.start()


@pytest.fixture
def make_farm(server: Server, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes a host, with a state_dir of its own, beside its hosts before; all write into one journal."""
    farms: list[Farm] = []

    def make(sections: dict[str, dict[str, object]] | None = None) -> Farm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        given = sections or {}
        queue = {**server.keys, **given.pop("queue", {})}
        shared = {"app:farm": {"journal": farms[0].journal.path}} if farms else {}
        farms.append(Farm(folder, sections={"snqd": {"id": folder.name}, **shared, **given, "queue": queue}))
        farms[-1].journal = farms[0].journal
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


def settled(farm: Farm) -> bool:
    queue = farm.queue("note")
    return bool(queue["waiting"] == queue["delayed"] == queue["in_flight"] == 0)


class Feed(threading.Thread):
    """Enqueues while a test kills, until `number` jobs are accepted; what failed may have been accepted or not."""

    def __init__(self, config: Path, number: int) -> None:
        super().__init__()
        self._config = config
        self._number = number
        self.accepted: list[str] = []

    def run(self) -> None:
        with connect(self._config) as queue:
            while len(self.accepted) < self._number:
                try:
                    sites = ["alpha", "beta"] * (BATCH // 2)
                    self.accepted += queue.enqueue_many([(site, "note", {"seconds": 0.005}) for site in sites])
                except StoreError:
                    time.sleep(0.1)
                time.sleep(0.02)


class Chaos:
    """Kills, and keeps the times: of processes by pid, and of the server from its death until it was back."""

    def __init__(self, farm: Farm, server: Any) -> None:
        self._farm = farm
        self._server = server
        self._random = Random(20100117)
        self._processes: dict[int, float] = {}
        self._outages: list[tuple[float, float]] = []

    def kill(self, number: int) -> None:
        if number in SERVER_DIES_AT:
            died = time.monotonic()
            self._server.kill()
            self._server.start()
            self._outages.append((died, time.monotonic()))
        elif number in PARENT_DIES_AT:
            self._kill(self._farm.daemon.pid)
            self._farm.daemon.wait(STOP_TIMEOUT)
            self._farm.start()
        elif children := psutil.Process(self._farm.daemon.pid).children():
            self._kill(self._random.choice(children).pid)

    def _kill(self, pid: int) -> None:
        self._farm.kill(pid)
        self._processes[pid] = time.monotonic()

    def explains(self, run: Run) -> bool:
        """Whether the job of `run` runs once more since its process or the server died while it ran or settled."""
        until = float("inf") if run.ended is None else run.ended + SETTLING
        if self._processes.get(run.pid, until) < until:
            return True
        return any(run.started - AHEAD < back and died < until for died, back in self._outages)


@pytest.mark.slow
def test_kills_of_children_parent_and_server_lose_no_job(make_farm: Callable[..., Farm], server: Server) -> None:
    farm = make_farm({"snqd": {"drain_timeout": 5}, "queue": {"max_retries": 50}})
    chaos = Chaos(farm, server.process)
    farm.start()
    feed = Feed(farm.config, JOBS)
    feed.start()
    for number in range(KILLS):
        chaos.kill(number)
        time.sleep(0.5)  # the kills' rhythm
    feed.join()
    wait_until(lambda: settled(farm), 240, "an empty queue")
    wait_until(lambda: farm.journal.handled().issuperset(feed.accepted), 30, "every job handled")
    runs = farm.journal.by_job()
    repeated = [run for each in runs.values() for run in each[:-1]]
    print(f"chaos: {len(feed.accepted)} accepted, {len(runs)} run, {len(repeated)} repeated runs")  # noqa: T201
    assert [run for run in repeated if not chaos.explains(run)] == []
    # What a process had only claimed counts as no attempt; at its death it may have been about to begin one.
    assert len([each for each in runs.values() if each[0].attempt > 1]) <= KILLS
    assert farm.dead() == []
    assert farm.stop() == 0


@pytest.mark.slow
def test_two_hosts_share_the_jobs_and_the_dead_letters(make_farm: Callable[..., Farm]) -> None:
    one, two = make_farm(), make_farm()
    start_all([one, two])
    one.enqueue("alpha", "picky", '{"unless": "/no/such/file"}')
    one.enqueue("alpha", "note", '{"seconds": 0.02}', "--count", JOBS)
    wait_until(lambda: settled(one), 240, "an empty queue")
    wait_until(lambda: len(one.journal.handled("note")) == JOBS, 30, "every job handled")
    assert {len(runs) for runs in one.journal.by_job().values()} == {1}
    ran_in = Counter(run.pid for run in one.journal.runs("note"))
    parts = [sum(ran_in[pid] for pid in farm.child_pids()) for farm in (one, two)]
    print(f"parts of the two hosts: {parts}")  # noqa: T201
    assert sum(parts) == JOBS
    assert min(parts) > JOBS / 4
    wait_until(lambda: one.dead() != [] and one.dead() == two.dead(), 30, "the dead letter on both hosts")


def kill_whole(farm: Farm) -> float:
    """As if its machine had lost power; returns when."""
    for process in farm.processes():
        farm.kill(process.pid, signal.SIGKILL)
    farm.daemon.wait(STOP_TIMEOUT)
    return time.monotonic()


def test_the_jobs_of_a_host_that_vanished_are_done_by_another_after_its_lease(make_farm: Callable[..., Farm]) -> None:
    one = make_farm({"queue": {"lease": LEASE}})
    two = make_farm({"queue": {"lease": LEASE}})
    one.start()
    one.enqueue("alpha", "note", '{"seconds": 60}', "--count", 20)
    running = wait_until(lambda: len(runs := one.journal.runs()) == 20 and runs, 30, "jobs in hand")
    two.start()
    killed = kill_whole(one)
    again = wait_until(lambda: len(runs := one.journal.runs()) == 40 and runs[20:], 60, "the other host")
    print(f"after {min(run.started for run in again) - killed:.2f} s of a lease of {LEASE:g} s")  # noqa: T201
    # A host can't look into another's crash ledger, so that nobody is suspect.
    assert {run.attempt for run in again} == {1}
    assert {run.job for run in again} == {run.job for run in running}
    # Counted in beats of a quarter of the lease; the machine may be busy.
    assert 0.5 * LEASE < min(run.started for run in again) - killed < 1.25 * LEASE + 2


def test_a_host_that_stood_still_begins_nothing_that_another_has_done(make_farm: Callable[..., Farm]) -> None:
    limits = {"queue": {"lease": LEASE, "concurrency": 4}, "snqd": {"threads": 1}}
    one, two = make_farm(limits), make_farm({"queue": {"lease": LEASE}})
    one.start()
    # Jobs that take nothing are claimed by the dozen.
    one.enqueue("alpha", "note", "--count", 200)
    wait_until(lambda: len(one.journal.handled()) == 200, 30, "two hundred jobs")
    one.enqueue("alpha", "note", '{"seconds": 3}', "--count", 60)
    wait_until(lambda: len(one.journal.runs()) == 204, 30, "four more in hand")
    stopped = [process.pid for process in one.processes()]
    for pid in stopped:
        one.kill(pid, signal.SIGSTOP)
    two.start()
    wait_until(lambda: len(one.journal.handled()) == 260, 60, "the other host's work")
    for pid in stopped:
        one.kill(pid, signal.SIGCONT)
    wait_until(lambda: "its jobs were given to others" in one.log(), 30, "that it has noticed")
    assert one.stop() == 0
    again = [runs for runs in one.journal.by_job().values() if len(runs) > 1]
    assert {runs[0].job for runs in again} == {run.job for run in one.journal.runs()[200:204]}, "those that ran"


@pytest.mark.parametrize("step", [-300, 300])
def test_a_host_whose_clock_is_set_keeps_what_it_runs(make_farm: Callable[..., Farm], step: int) -> None:
    needs_faketime()
    one = make_farm({"queue": {"lease": LEASE}, "snqd": {"threads": 1}})
    two = make_farm({"queue": {"lease": LEASE}, "snqd": {"threads": 1}})
    clock = SetClock(one)
    one.start()
    one.enqueue("alpha", "note", json.dumps({"seconds": 3 * LEASE}), "--count", 4)
    wait_until(lambda: len(one.journal.runs()) == 4, 30, "jobs in hand")
    two.start()
    clock.step(step)
    wait_until(lambda: len(one.journal.handled()) == 4, 60, "their end")
    assert len(one.journal.runs()) == 4
    assert "gave no sign of life" not in one.log() + two.log()


def test_a_host_that_comes_back_finds_its_suspects_and_its_innocents(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm({"queue": {"concurrency": 2, "lease": 600}, "snqd": {"threads": 1}})
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 1.5}', "--count", 4)
    first = wait_until(lambda: len(runs := farm.journal.runs()) == 2 and runs, 30, "two jobs in hand")
    kill_whole(farm)
    farm.start()
    wait_until(lambda: len(farm.journal.handled()) == 4, 60, "every job")
    suspects = {run.job for run in first}
    later = [run for run in farm.journal.runs() if run not in first]
    assert sorted((run.job in suspects, run.attempt) for run in later) == [(False, 1)] * 2 + [(True, 2)] * 2
    one, other = (run for run in later if run.job in suspects)
    assert one.ended is not None
    assert one.ended < other.started


def test_a_job_that_kills_its_process_dies_alone(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm({"queue": {"max_retries": 2}, "snqd": {"threads": 1}})
    farm.enqueue("alpha", "note", '{"seconds": 0.5}', "--count", 10)
    farm.enqueue("alpha", "killer", '{"seconds": 0.2}')
    farm.enqueue("beta", "note", '{"seconds": 0.01}', "--count", 100)
    farm.start()
    (letter,) = wait_until(farm.dead, 60, "the killer in the morgue")
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    wait_until(lambda: len(farm.journal.handled("note")) == 110, 60, "the killer's neighbours")
    first, *_ = farm.journal.runs("killer")
    assert {run.pid for run in farm.journal.runs("note") if run.ended is None} == {first.pid}


def told_by(farm: Farm) -> set[tuple[str, bool]]:
    """The states of the children, and whether they are in trouble; snqctl would wait for the store, too."""
    answer = call(farm.state_dir / "control.sock", "status")
    children = [child for group in answer["groups"] for child in group["children"]]
    return {(child["state"], bool(child["trouble"])) for child in children}


def test_a_daemon_that_starts_before_its_server_works_once_it_is_there(
    make_farm: Callable[..., Farm], server: Server
) -> None:
    farm = make_farm()
    farm.enqueue("alpha", "note")
    server.process.stop()
    farm.spawn("-n", "--pidfile=")
    waits = ("the database does not answer yet", "no connection to Redis")
    wait_until(lambda: any(words in farm.log() for words in waits), 30, "a word about it")
    wait_until(lambda: told_by(farm) == {("init", True)}, 30, "that status says why the children do not come up")
    server.process.start()
    wait_until(lambda: len(farm.journal.handled()) == 1, 30, "the job")
    assert farm.stop() == 0
