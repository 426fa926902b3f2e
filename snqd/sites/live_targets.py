"""LiveTargets: where jobs may go by the configuration of now, for programs that run as long as the daemon does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from snqd.config.load import load, reload_sites
from snqd.config.settings import Settings
from snqd.config.source_reader import SourceReader, SourceScan
from snqd.config.sources import Sources
from snqd.core.clocks import Monotonic, monotonic
from snqd.core.errors import ConfigError, NoHandler, UnknownSite
from snqd.core.job import Job
from snqd.sites.registry import SiteRegistry
from snqd.sites.targets import check_target

LOOK_EVERY = 5.0
"""Seconds from one look at the files to the next while all jobs find their target."""
SHARE = 100
"""Those looks take one in so many seconds at most, however many sites there are."""
SHARE_OF_MISSES = 25
"""The same of looks for sites and queues that are unknown."""


class _Known:
    def __init__(self, sources: Sources, settings: Settings) -> None:
        self.sources = sources
        self.settings = settings
        self.sites = SiteRegistry(settings)


class LiveTargets:
    """Reads the configuration, and later what has changed of it, for any number of threads.

    What is wrong with it later leaves what was known in force.

    :param path: the main file.
    :param monotonic: seconds on a steady clock.
    :raises ConfigError: if it is wrong at first.
    """

    def __init__(self, path: Path, monotonic: Callable[[], Monotonic] = monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._reader = SourceReader(path)
        self._inherited: list[SourceReader] = []
        sources = self._reader.read()
        self._known = _Known(sources, load(sources))
        self._problems: list[str] = []
        self._looked, self._took = monotonic(), 0.0

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._known.settings

    def begin_in_fork(self) -> None:
        """This process was forked: share neither locks nor a database's connection with the one before."""
        self._inherited.append(self._reader)  # its end would end the parent's session
        self._reader = SourceReader(self._path)
        self._lock = threading.Lock()

    def check(self, jobs: Iterable[Job]) -> None:
        """Nothing, if all `jobs` find a handler, as far as is known; reads nothing.

        :raises UnknownSite, NoHandler: saying also what keeps the files of now from being known.
        """
        known = self._known
        try:
            for job in jobs:
                check_target(known.settings, known.sites, job.site, job.queue)
        except (UnknownSite, NoHandler) as error:
            if not self._problems:
                raise
            wrong = f"{error}; the files have changed, but do not hold: {self._problems[0]}"
            raise type(error)(wrong) from error

    @property
    def due(self) -> bool:
        """Whether it is time for :meth:`look`, though nothing is missed."""
        return self._monotonic() - self._looked >= max(LOOK_EVERY, self._took * SHARE)

    def look(self, missed: bool) -> None:
        """See what has changed; blocking. Returns at once if the last look is too fresh, another thread's included.

        :param missed: a site or queue is not known, so that it may be so early, and all of a table is read.
        """
        with self._lock:
            began = self._monotonic()
            if (began - self._looked >= self._took * SHARE_OF_MISSES) if missed else self.due:
                self._look(missed)
                self._looked = self._monotonic()
                self._took = self._looked - began

    def _look(self, afresh: bool) -> None:
        try:
            self._problems = self._take(self._reader.look(self._known.sources, afresh=afresh))
        except ConfigError as error:
            self._problems = error.problems
        if self._problems:
            self._reader.forget()

    def _take(self, look: SourceScan) -> list[str]:
        """Go over to what is right of it; returns what is wrong."""
        problems = list(look.problems)
        if look.main_differs:
            try:
                sources = self._reader.read()
                self._known = _Known(sources, load(sources))
            except ConfigError as error:
                problems += error.problems
            else:
                return problems
        if look.sources is not self._known.sources:
            taken = reload_sites(self._known.settings, self._known.sources, look.sources)
            self._known = _Known(taken.sources, taken.settings)
            problems += taken.problems
        return problems
