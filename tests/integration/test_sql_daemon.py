"""Daemons on PostgreSQL and MariaDB, as an operator has them: children, parents, hosts and the server are killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from farm import STOP_TIMEOUT, Farm
from waiting import wait_until

from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql

ROUNDS = 8
JOBS_A_ROUND = 200
JOBS_OF_TWO = 2000
PARENT_DIES_IN = {3}
SERVER_DIES_IN = {1, 4, 6}


@pytest.fixture(params=[postgresql, mariadb], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    if made.process.poll() is not None:
        made.start()


@pytest.fixture
def make_farm(server: Any, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes a host that keeps its jobs and dead letters in the server, with its hosts before."""
    farms: list[Farm] = []
    url = server.url(server.database())

    def make(sections: dict[str, dict[str, object]] | None = None, **arguments: Any) -> Farm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        queue = {"db": url, "morgue": url, **(sections or {}).pop("queue", {})}
        farms.append(Farm(folder, sections={**(sections or {}), "queue": queue}, **arguments))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


def settled(farm: Farm) -> bool:
    queue = farm.queue("note")
    return bool(queue["waiting"] == queue["delayed"] == queue["in_flight"] == 0)


@pytest.mark.slow
def test_kills_of_children_parent_and_server_lose_no_job(make_farm: Callable[..., Farm], server: Any) -> None:
    farm = make_farm({"snqd": {"drain_timeout": 5}, "queue": {"max_retries": 50}})
    random = Random(20100117)
    killed: set[int] = set()
    server_died = False
    farm.start()
    for number in range(ROUNDS):
        farm.enqueue("alpha" if number % 2 else "beta", "note", '{"seconds": 0.005}', "--count", JOBS_A_ROUND)
        if number in SERVER_DIES_IN:
            server.kill()
            server.start()
            server_died = True
        elif number in PARENT_DIES_IN:
            killed |= {farm.daemon.pid, *(child.pid for child in psutil.Process(farm.daemon.pid).children())}
            farm.kill(farm.daemon.pid)
            farm.daemon.wait(STOP_TIMEOUT)
            farm.start()
        elif children := psutil.Process(farm.daemon.pid).children():
            victim = random.choice(children).pid
            killed.add(victim)
            farm.kill(victim)
    wait_until(lambda: len(farm.journal.handled()) == ROUNDS * JOBS_A_ROUND, 120, "every job handled")
    wait_until(lambda: settled(farm), 60, "an empty queue")
    assert server_died
    repeated = [run for runs in farm.journal.by_job().values() for run in runs[:-1] if run.pid not in killed]
    # A crash of PostgreSQL undoes the claims of its last moments, at most so many as children had in hand.
    assert len(repeated) <= len(SERVER_DIES_IN) * 2 * 100
    assert farm.dead() == []
    assert farm.stop() == 0


def test_two_hosts_share_the_jobs_and_the_dead_letters(make_farm: Callable[..., Farm]) -> None:
    one = make_farm({"snqd": {"id": "one"}})
    two = make_farm({"snqd": {"id": "two"}, "app:farm": {"journal": one.journal.path}})
    one.start()
    two.start()
    one.enqueue("alpha", "picky", '{"unless": "/no/such/file"}')
    one.enqueue("alpha", "note", '{"seconds": 0.02}', "--count", JOBS_OF_TWO)
    wait_until(lambda: len(one.journal.handled("note")) == JOBS_OF_TWO, 120, "every job handled")
    children = [{child.pid for child in psutil.Process(each.daemon.pid).children()} for each in (one, two)]
    ran_in = {run.pid for run in one.journal.runs("note")}
    assert all(ran_in & mine for mine in children)
    assert {len(runs) for runs in one.journal.by_job().values()} == {1}
    wait_until(lambda: one.dead() != [] and one.dead() == two.dead(), 30, "the dead letter on both hosts")


def test_the_jobs_of_a_host_that_vanished_are_done_by_another_after_its_lease(make_farm: Callable[..., Farm]) -> None:
    one = make_farm({"queue": {"lease": 2}, "snqd": {"id": "one"}})
    one.enqueue("alpha", "note", '{"seconds": 5}', "--count", 20)
    one.start()
    wait_until(lambda: len(one.journal.runs()) == 20, 30, "jobs in hand")
    for process in one.processes():
        one.kill(process.pid, signal.SIGKILL)
    two = make_farm({"queue": {"lease": 2}, "snqd": {"id": "two"}, "app:farm": {"journal": one.journal.path}})
    two.start()
    wait_until(lambda: len(one.journal.handled()) == 20, 60, "the other host")
    wait_until(lambda: settled(two), 30, "an empty queue")
    assert {len(runs) for runs in one.journal.by_job().values()} == {2}


def test_a_job_that_kills_its_process_dies_alone(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm({"queue": {"max_retries": 2}, "snqd": {"threads": 1}})
    farm.enqueue("alpha", "note", '{"seconds": 0.5}', "--count", 10)
    farm.enqueue("alpha", "killer", '{"seconds": 0.2}')
    farm.enqueue("beta", "note", '{"seconds": 0.01}', "--count", 100)
    farm.start()
    (letter,) = wait_until(farm.dead, 60, "the killer in the morgue")
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    wait_until(lambda: len(farm.journal.handled("note")) == 110, 60, "the killer's neighbours")


def test_a_daemon_that_starts_before_its_server_works_once_it_is_there(
    make_farm: Callable[..., Farm], server: Any
) -> None:
    farm = make_farm()
    farm.enqueue("alpha", "note")
    server.stop()
    farm.spawn("-n", "--pidfile=")
    wait_until(lambda: "the database does not answer yet" in farm.log(), 30, "a word about it")
    server.start()
    wait_until(lambda: len(farm.journal.handled()) == 1, 30, "the job")
    assert farm.stop() == 0
