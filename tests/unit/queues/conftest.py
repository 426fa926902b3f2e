"""A queue manager at work, without a process around it: the store in memory, a clock, handlers that are functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.core.counters import Counters
from snqd.core.errors import NoHandler, StoreUnavailable
from snqd.core.fair_turn import FairTurn
from snqd.core.job import Job, JobIds
from snqd.handlers import QueueHandler
from snqd.handlers.registry import Slot
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.pipe.crash_ledger import CrashLedger, read_ledger
from snqd.queues.queue_manager import ManagerParts, QueueManager
from snqd.queues.settler import Settler
from snqd.queues.slots import Slots
from snqd.sites.registry import SiteRegistry
from snqd.sites.site import Site
from snqd.stores.memory.store import MemoryQueue, MemoryStore
from snqd.stores.morgue.morgue import Letter
from tests.unit.dates import Dates

CONFIG = """
[queue]
max_retries = 2
[handlers]
work = a.Class
other = a.Class
[site:alpha]
[site:beta]
handlers.other = off
"""


def settings(config: str) -> Settings:
    path = Path("/etc/snq.ini")
    return load(Sources(path, {str(path): config}), plugins={})


class Morgue:
    """Keeps letters in a list; full while `full` is set."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.full = False

    def bury(self, letter: Letter) -> Deferred[None]:
        if self.full:
            raise StoreUnavailable("the disk is full")
        self.letters.append(letter)
        return succeed(None)


class Pings:
    """Notes what the monitor is told."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, str]] = []

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        self.counted.append((name, queue, site_server))


class Handlers:
    """One function for every queue, as a registry."""

    def __init__(self, clock: Clock, settings: Settings, handle: Callable[[RunningJob], Any]) -> None:
        self._settings = settings
        self._clock = clock
        self._handle = handle

    def for_site(self, site: Site, queue: str) -> Slot:
        settings = site.handler(queue)
        if settings is None:
            raise NoHandler(f"site {site.nickname} has no handler for queue {queue}")
        handler = QueueHandler(settings)
        handler.handle = self._handle  # type: ignore[method-assign]
        return Slot(handler, self._clock, None)


class Master:
    """Notes what the manager asks for."""

    def __init__(self) -> None:
        self.left: list[int] = []

    def working(self, substate: str = "") -> None:
        """Not looked at."""

    def leave(self, exit_code: int) -> None:
        self.left.append(exit_code)


class Bench:
    """Everything around a manager.

    :ivar handled: the ids of the jobs that handlers were called for, in order.
    :ivar waits: those that a handler is waiting with, by id.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.queue = MemoryQueue()
        self.dates = Dates(self.clock)
        self.outside = MemoryStore(self.clock, "outside", self.queue, self.dates)
        self.outside.open(lambda: None)
        self.settings = settings(CONFIG)
        self.sites = SiteRegistry(self.settings)
        self.missed: list[str] = []
        self.may_begin = True
        self.morgue = Morgue()
        self.pings = Pings()
        self.counters = Counters()
        self.handled: list[str] = []
        self._sites_of: dict[str, str] = {}
        self.waits: dict[str, Deferred[Any]] = {}
        self.handle: Callable[[RunningJob], Any] = lambda job: None
        self.master = Master()
        self._folder = folder
        self._ids = JobIds()
        self.ledger_path = folder / "me.ledger"

    def configure_also(self, sections: str) -> None:
        """More sites."""
        self.sites.replace(settings(CONFIG + sections))

    def manager(
        self, kind: type[QueueManager] = QueueManager, limit: int = 10, ordered: bool = False, start: bool = True
    ) -> QueueManager:
        """A manager that has been started, unless `start` is False."""
        self.store = MemoryStore(self.clock, "me", self.queue, self.dates)
        random = Random(1)
        ledger = CrashLedger(self.ledger_path, "me", limit)
        made = kind(
            ManagerParts(
                reactor=self.clock,
                store=self.store,
                settler=Settler(self.clock, self.store, self.morgue, self.counters, self.pings, random),
                handlers=Handlers(self.clock, self.settings, self._called),
                sites=self.sites,
                ledger=ledger,
                surroundings=JobContext(lambda site, queue: None, self.dates),
                queues={"work": ordered, "other": False},
                policy=self.settings.queue.retry,
                random=random,
                close=lambda: succeed(ledger.close()),
                site_missed=self.missed.append,
                may_begin=lambda: self.may_begin,
            ),
            Slots(limit, {}),
            FairTurn(lambda site: 1.0, lambda queue: 1.0),
        )
        if start:
            made.start(self.master)
            self.turn()
        return made

    def _called(self, job: RunningJob) -> Any:
        self.handled.append(job.id)
        self._sites_of[job.id] = job.site.nickname
        return self.handle(job)

    def site_of(self, jobs: Iterable[str]) -> set[str]:
        """The sites of jobs that were handled."""
        return {self._sites_of[job] for job in jobs}

    def wait(self, job: RunningJob) -> Deferred[Any]:
        """A handler that waits until the test fires its Deferred."""
        self.waits[job.id] = Deferred()
        return self.waits[job.id]

    def turn(self) -> None:
        """Let the reactor run until nothing is left to do now."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.turn()

    def enqueue(self, number: int = 1, site: str = "alpha", queue: str = "work", body: bytes = b"null") -> list[str]:
        """Enqueue jobs from another process; returns their ids."""
        ids = [self._ids.next() for _ in range(number)]
        self.outside.enqueue([Job(each, site, queue, body, created=self.dates()) for each in ids])
        self.turn()
        return ids

    def depth(self) -> tuple[int, int, int]:
        """How many jobs are waiting, delayed, in hand."""
        depths: list[Any] = []
        self.outside.depths().addCallback(depths.extend)
        return (
            sum(each.waiting for each in depths),
            sum(each.delayed for each in depths),
            sum(each.in_flight for each in depths),
        )

    def started(self) -> list[str]:
        """What the crash ledger says is running."""
        return sorted(read_ledger(self.ledger_path).started)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
