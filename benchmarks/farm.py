"""BenchmarkFarm: a daemon with something to do, in a temporary folder, and the clocks that are held to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "acceptance"))

from farm import NOT_UP as NOT_UP  # noqa: E402
from farm import Farm  # noqa: E402

from benchmarks.places import Place  # noqa: E402
from benchmarks.sheet import Sheet, until  # noqa: E402
from snqd.config.load import load_file  # noqa: E402
from snqd.core.job import Job, JobIds  # noqa: E402
from snqd.ops.control import call  # noqa: E402
from snqd.stores.factory import subsystem_of  # noqa: E402

BATCH = 500
HANDLERS = {name.lower(): f"benchmarks.handlers.{name}" for name in ("Noop", "Wait", "Stamp", "Serve", "Kill")}


class BenchmarkFarm:
    """A farm for a measurement; a context manager that leaves nothing behind.

    :param place: the store it works on.
    :param sections: more of the configuration.
    """

    def __init__(
        self,
        place: Place,
        sections: Mapping[str, Mapping[str, object]] | None = None,
        sites: Iterable[str] = ("alpha", "beta"),
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="snqd-benchmark-"))
        self.sheet = Sheet(self.folder)
        self.runs = self.folder / "runs"
        noted = {f"handler:{queue}": {"sheet": self.folder} for queue in ("noop", "wait", "stamp")}
        more = {**noted, "handler:serve": {"to": self.runs}, **(sections or {})}
        more["queue"] = {**place.settings(), **more.get("queue", {})}
        self.farm = Farm(self.folder, sites=sites, handlers=HANDLERS, sections=more)
        self._ids = JobIds()

    def __enter__(self) -> BenchmarkFarm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.redirect_stdout(None):
            self.farm.close()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the daemon, and wait for nothing."""
        self.farm.spawn("-n", "--pidfile=")

    def fill(self, queue: str, number: int, body: bytes = b"null", site: str | Sequence[str] = "alpha") -> float:
        """Put `number` jobs into the queue, as any program does, evenly on several sites; returns how many a second."""
        sites = cycle([site] if isinstance(site, str) else site)
        store = subsystem_of(load_file(self.farm.config)).blocking_queue()
        started = time.monotonic()
        for left in range(number, 0, -BATCH):
            now = time.time()
            chosen = islice(sites, min(BATCH, left))
            store.enqueue([Job(self._ids.next(), each, queue, body, created=now) for each in chosen])
        took = time.monotonic() - started
        store.close()
        os.sync()  # what the kernel still has to write must not slow the drain down
        return number / took

    def status(self) -> dict[str, Any]:
        """The daemon's own answer."""
        return call(self.farm.state_dir / "control.sock", "status", 10)

    def settled(self, number: int) -> None:
        """Wait until `number` jobs are handled, as the daemon counts them."""
        until(lambda: sum(row[3] for row in self.status()["counters"]) >= number, f"{number} handled jobs")

    def child_memory(self) -> list[int]:
        """Resident bytes of each child."""
        return [child["rss_bytes"] for group in self.status()["groups"] for child in group["children"]]
