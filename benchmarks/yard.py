"""Yard: a daemon with something to do, in a temporary folder, and the clocks that are held to it."""

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

from farm import NOT_UP, Farm  # noqa: E402

from snqd.config.load import load_file  # noqa: E402
from snqd.core.job import Job, JobIds  # noqa: E402
from snqd.ops.control import call  # noqa: E402
from snqd.stores.factory import make_queue  # noqa: E402

__all__ = ["NOT_UP", "Yard"]

BATCH = 500
QUEUES = {
    "noop": "benchmarks.handlers.Noop",
    "wait": "benchmarks.handlers.Wait",
    "stamp": "benchmarks.handlers.Stamp",
    "serve": "benchmarks.handlers.Serve",
    "kill": "benchmarks.handlers.Kill",
}


class Yard:
    """A farm for a measurement; a context manager that leaves nothing behind.

    :param sections: more of the configuration.
    """

    def __init__(
        self, sections: Mapping[str, Mapping[str, object]] | None = None, sites: Iterable[str] = ("alpha", "beta")
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="snqd-benchmark-"))
        self.stamps = self.folder / "stamps"
        outputs = {f"handler:{queue}": {"to": self.stamps} for queue in ("stamp", "serve")}
        self.farm = Farm(self.folder, sites=sites, handlers=QUEUES, sections={**outputs, **(sections or {})})
        self.database_path = self.farm.state_dir / "queue.db"
        self._ids = JobIds()

    def __enter__(self) -> Yard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.redirect_stdout(None):
            self.farm.close()
        shutil.rmtree(self.folder)

    def fill(self, queue: str, number: int, body: bytes = b"null", site: str | Sequence[str] = "alpha") -> float:
        """Put `number` jobs into the queue, evenly on several sites; returns how many a second."""
        sites = cycle([site] if isinstance(site, str) else site)
        store = make_queue(load_file(self.farm.config))
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

    def handled(self) -> int:
        """Jobs handled since the daemon's start."""
        return sum(row[3] for row in self.status()["counters"])

    def drain_rate(self, until: int, longest: float = 300.0, every: float = 0.02) -> float:
        """Jobs a second between the first that is seen handled and the last of `until`.

        :param every: seconds between two looks; a look at ten thousand sites costs the daemon some 50 ms.
        """
        first: tuple[float, int] | None = None
        deadline = time.monotonic() + longest
        while True:
            handled, now = self.handled(), time.monotonic()
            if handled and first is None:
                first = (now, handled)
            if handled >= until or now > deadline:
                break
            time.sleep(every)
        assert first is not None, "nothing was handled"
        return (handled - first[1]) / (now - first[0])

    def child_memory(self) -> list[int]:
        """Resident bytes of each child."""
        return [child["rss_bytes"] for group in self.status()["groups"] for child in group["children"]]
