"""Sites: ten thousand of them, in a folder and in a table."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure
from benchmarks.places import Place
from benchmarks.yard import NOT_UP, Yard
from snqd.core.errors import SnqdError

SITES = 10_000
JOBS = 100_000
IDLE = 60.0
SETTLED = 5.0
MB = 1_000_000
SCHEMA = "CREATE TABLE status_network (nickname VARCHAR(64) PRIMARY KEY, hostname VARCHAR(255), modified TIMESTAMP)"
INSERT = "INSERT INTO status_network VALUES (?, ?, '2026-01-01 00:00:00')"

Add = Callable[[Path, str], None]


def folder(place: Place) -> Iterator[Figure]:
    """10,000 sites in a folder, two children."""
    yield from _measure(place, "dir", "sites", _fill_folder, _add_file)


def table(place: Place) -> Iterator[Figure]:
    """10,000 sites in a status_network table, two children."""
    yield from _measure(place, "database", "sqlite:///farm.db", _fill_table, _add_row)


def _measure(place: Place, key: str, value: str, fill: Callable[[Path], None], add: Add) -> Iterator[Figure]:
    with Yard(place) as yard:
        yard.fill("noop", JOBS)
        yard.start()
        one_site = yard.sheet.rate(JOBS)
    with Yard(place, {"sites": {key: value}}) as yard:
        fill(yard.folder)
        yield Figure("from start to work", _start(yard), "s", goal="3")
        yield Figure("a child at rest", max(yard.child_memory()) / MB, "MB", goal="100")
        yield _idle(yard)
        yield Figure("a new site is live after", _live(yard, add), "s", goal="1")
        yard.farm.snqctl("pause", "noop")
        yard.fill("noop", JOBS, site=[_name(number) for number in range(SITES)])
        yard.farm.snqctl("resume", "noop")
        evenly = yard.sheet.rate(JOBS)
        yield Figure("no-op drain, evenly on all", evenly, "jobs/s", "one site", one_site, "ratio 0.8")


def _start(yard: Yard) -> float:
    """Seconds until both children take jobs."""
    started = time.monotonic()
    yard.farm.spawn("-n", "--pidfile=")
    while True:
        with contextlib.suppress(SnqdError):
            children = [child for group in yard.status()["groups"] for child in group["children"]]
            if not any(child["state"] in NOT_UP for child in children):
                return time.monotonic() - started
        time.sleep(0.05)


def _name(number: int) -> str:
    return f"site{number:05}"


def _fill_folder(folder: Path) -> None:
    (folder / "sites").mkdir()
    for number in range(SITES):
        _add_file(folder, _name(number))


def _add_file(folder: Path, name: str) -> None:
    (folder / "sites" / f"{name}.ini").write_text(f"[site:{name}]\nserver = {name}.example\n")


def _fill_table(folder: Path) -> None:
    with sqlite3.connect(folder / "farm.db") as database:
        database.execute(SCHEMA)
        names = [_name(number) for number in range(SITES)]
        database.executemany(INSERT, [(name, f"{name}.example") for name in names])


def _add_row(folder: Path, name: str) -> None:
    with sqlite3.connect(folder / "farm.db") as database:
        database.execute(INSERT, (name, f"{name}.example"))


def _idle(yard: Yard) -> Figure:
    """The busiest of the daemon's processes while nothing happens."""
    daemon = psutil.Process(yard.farm.daemon.pid)
    time.sleep(SETTLED)
    processes = [daemon, *daemon.children()]
    before = [_seconds(process) for process in processes]
    time.sleep(IDLE)
    busiest = max(_seconds(process) - seconds for process, seconds in zip(processes, before, strict=True))
    return Figure("CPU of the busiest process while idle", 100 * busiest / IDLE, "%", goal="1")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _live(yard: Yard, add: Add) -> float:
    """Seconds until the daemon works by a site that was added."""
    started = time.monotonic()
    add(yard.folder, "fresh")
    while "sites added: fresh" not in yard.farm.log():
        time.sleep(0.01)
    return time.monotonic() - started
