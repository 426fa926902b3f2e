"""Servers: the same measurements with the jobs in PostgreSQL or MariaDB, which these start for themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.figures import Figure, median, percentile
from benchmarks.yard import Yard
from snqd import connect
from tests.servers.database_server import DatabaseServer
from tests.servers.mariadb import mariadb as mariadb_server
from tests.servers.postgresql import postgresql as postgresql_server

NOOPS = 50_000
FLOOD = 50_000
ROUNDS = 3


def postgresql() -> Iterator[Figure]:
    """PostgreSQL on this machine, fsynced, two children."""
    yield from _figures(postgresql_server(), "8,000", "under 3")


def mariadb() -> Iterator[Figure]:
    """MariaDB on this machine, fsynced, two children."""
    yield from _figures(mariadb_server(), "7,000", "")


def _figures(server: DatabaseServer, drain: str, p99: str) -> Iterator[Figure]:
    yield Figure("no-op drain, 2 children", median([_drain(server) for _ in range(ROUNDS)]), "jobs/s", goal=drain)
    many = [f"site-{number:03}" for number in range(100)]
    yield Figure("no-op drain of 100 sites, 2 children", _drain(server, many), "jobs/s")
    yield Figure("enqueue in batches of 500", _fill(server), "jobs/s")
    waits = _waits(server)
    yield Figure("idle latency p50", percentile(waits, 50), "ms")
    yield Figure("idle latency p99", percentile(waits, 99), "ms", goal=p99)
    yield Figure("a quiet site's wait behind 50,000 jobs, p95", percentile(_quiet(server), 95), "ms", goal="under 100")


def _yard(server: DatabaseServer, sites: list[str]) -> Yard:
    return Yard({"queue": {"db": server.url(server.database())}}, sites)


def _drain(server: DatabaseServer, sites: list[str] | None = None) -> float:
    sites = sites or ["alpha"]
    with _yard(server, sites) as yard:
        for site in sites:
            yard.fill("noop", NOOPS // len(sites), site=site)
        yard.farm.start()
        return yard.drain_rate(NOOPS)


def _fill(server: DatabaseServer) -> float:
    with _yard(server, ["alpha"]) as yard:
        return yard.fill("noop", NOOPS)


def _waits(server: DatabaseServer) -> list[float]:
    with _yard(server, ["alpha"]) as yard:
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(500):
                queue.enqueue("alpha", "stamp", time.monotonic())
                time.sleep(0.01)
        return _stamps(yard, "alpha", 500)


def _quiet(server: DatabaseServer) -> list[float]:
    with _yard(server, ["alpha", "beta"]) as yard:
        yard.fill("stamp", FLOOD, b"0.0")
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(50):
                queue.enqueue("beta", "stamp", time.monotonic())
                time.sleep(0.02)
        return _stamps(yard, "beta", 50)


def _stamps(yard: Yard, site: str, number: int) -> list[float]:
    deadline = time.monotonic() + 60
    while True:
        lines = yard.stamps.read_text().splitlines() if yard.stamps.exists() else []
        mine = [float(line.split()[1]) * 1000 for line in lines if line.startswith(f"{site} ")]
        if len(mine) >= number:
            return mine
        assert time.monotonic() < deadline, "that takes too long"
        time.sleep(0.05)
