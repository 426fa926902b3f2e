"""A site comes and another goes every second while jobs flow, and none of their jobs is dropped.

``SNQD_FULL=1`` does it for a minute, beside ten thousand other sites.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from farm import Farm
from load import Load
from waiting import wait_until

from snqd.config.load import load_file
from snqd.stores.factory import subsystem_of
from snqd.wire.job_builder import JobBuilder

FULL = os.environ.get("SNQD_FULL") == "1"
SECONDS = 60 if FULL else 4
OTHERS = 10_000 if FULL else 100
RATE = 200
DELAYS = (0, 0.5, 1, 1.5)
"""Seconds: some jobs of a site are due before it goes, some after it."""
WORK = {"seconds": 0.005}


class Place(Protocol):
    """Where sites are defined besides the main file."""

    keys: dict[str, object]

    def prepare(self, folder: Path) -> None:
        """Make it, beside the main file in `folder`."""

    def add(self, *names: str) -> None:
        """Define sites."""

    def remove(self, name: str) -> None:
        """Define one no more."""


class Folder:
    """A file for each site."""

    keys: dict[str, object] = {"dir": "sites"}

    def prepare(self, folder: Path) -> None:
        self._path = folder / "sites"
        self._path.mkdir()

    def add(self, *names: str) -> None:
        for name in names:
            (self._path / f"{name}.ini").write_text(f"[site:{name}]\n")

    def remove(self, name: str) -> None:
        (self._path / f"{name}.ini").unlink()


class Table:
    """A row for each site."""

    keys: dict[str, object] = {"database": "sqlite:///farm.db"}

    def prepare(self, folder: Path) -> None:
        self._path = folder / "farm.db"
        self._do("CREATE TABLE status_network (nickname TEXT PRIMARY KEY, modified TIMESTAMP)", [()])

    def add(self, *names: str) -> None:
        self._do("INSERT INTO status_network VALUES (?, datetime('now'))", [(name,) for name in names])

    def remove(self, name: str) -> None:
        self._do("DELETE FROM status_network WHERE nickname = ?", [(name,)])

    def _do(self, statement: str, rows: list[tuple[str, ...]]) -> None:
        with sqlite3.connect(self._path) as database:
            database.executemany(statement, rows)
        database.close()


@pytest.mark.slow
@pytest.mark.parametrize("place", [Folder(), Table()], ids=["folder", "table"])
def test_sites_that_come_and_go_every_second_under_load_drop_no_job(
    make_farm: Callable[..., Farm], place: Place
) -> None:
    farm = make_farm(sections={"sites": place.keys})
    place.prepare(farm.folder)
    place.add(*(f"other{number}" for number in range(OTHERS)), "site0")
    farm.start()
    pids = farm.child_pids()
    ids: list[str] = []
    # As a program does that knows of its site before anybody else: jobs outrun updates.
    settings = load_file(farm.config, plugins={})
    jobs, queue = JobBuilder(lambda: settings), subsystem_of(settings).blocking_queue()
    with Load(farm.config, ("alpha", "beta", "other0"), RATE, WORK) as load:
        due = time.monotonic()
        for number in range(1, SECONDS + 1):
            place.add(f"site{number}")
            made = [jobs.job(f"site{number}", "note", WORK, delay) for delay in DELAYS * 10]
            queue.enqueue(made)
            ids += [job.id for job in made]
            place.remove(f"site{number - 1}")
            due += 1
            time.sleep(max(due - time.monotonic(), 0))
    queue.close()
    # What a site left behind when it went waits until it is back.
    place.add(*(f"site{number}" for number in range(SECONDS)))
    everything = {*ids, *load.ids}
    wait_until(lambda: farm.journal.handled() == everything, 120 if FULL else 60, "every job")
    assert {len(runs) for runs in farm.journal.by_job().values()} == {1}
    assert farm.dead() == []
    assert farm.child_pids() == pids
