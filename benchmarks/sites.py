"""Sites: ten thousand of them, in a folder and in a table; medians of three, but for the minute of idling."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.farm import NOT_UP, BenchmarkFarm
from benchmarks.figures import Figure, formatted, median
from benchmarks.places import Place
from snqd.core.errors import SnqdError

SITES = 10_000
JOBS = 100_000
ROUNDS = 3
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
    every = [_name(number) for number in range(SITES)]
    starts, memory, lives, one_site, evenly = [], [], [], [], []
    for number in range(ROUNDS):
        with BenchmarkFarm(place, {"sites": {key: value}}) as yard:
            fill(yard.folder)
            starts.append(_start(yard))
            memory.append(max(yard.child_memory()) / MB)
            if number == 0:
                yield from _idle(yard)
            lives.append(_live(yard, add))
            one_site.append(_drain(yard, every[0]))
        with BenchmarkFarm(place, {"sites": {key: value}}) as yard:
            fill(yard.folder)
            _start(yard)
            evenly.append(_drain(yard, every))
    yield Figure("from start to work", median(starts), "s", goal="3", note=_spread(starts))
    yield Figure("a child at rest", median(memory), "MB", goal="100", note=_spread(memory))
    yield Figure("a new site is live after", median(lives), "s", goal="1", note=_spread(lives))
    yield Figure(
        "no-op drain, evenly on all", median(evenly), "jobs/s", "all for one of them", median(one_site), "ratio 0.8",
        _spread(evenly),
    )  # fmt: skip


def _drain(yard: BenchmarkFarm, site: str | list[str]) -> float:
    """Jobs a second of a daemon that is up."""
    yard.farm.snqctl("pause", "noop")
    yard.fill("noop", JOBS, site=site)
    yard.farm.snqctl("resume", "noop")
    return yard.sheet.rate(JOBS)


def _spread(values: list[float]) -> str:
    return f"{formatted(min(values))} to {formatted(max(values))}"


def _start(yard: BenchmarkFarm) -> float:
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


def _idle(yard: BenchmarkFarm) -> Iterator[Figure]:
    """What the daemon's processes use while nothing happens."""
    daemon = psutil.Process(yard.farm.daemon.pid)
    time.sleep(SETTLED)
    children = daemon.children()
    before = [_seconds(process) for process in (daemon, *children)]
    time.sleep(IDLE)
    after = [_seconds(process) for process in (daemon, *children)]
    parent, *others = (100 * (end - begin) / IDLE for begin, end in zip(before, after, strict=True))
    yield Figure("the parent's CPU while idle, over a minute", parent, "%", goal="1")
    yield Figure("the busier child's CPU", max(others), "%", goal="1")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _live(yard: BenchmarkFarm, add: Add) -> float:
    """Seconds until the daemon works by a site that was added."""
    started = time.monotonic()
    add(yard.folder, "fresh")
    while "sites added: fresh" not in yard.farm.log():
        time.sleep(0.01)
    return time.monotonic() - started
