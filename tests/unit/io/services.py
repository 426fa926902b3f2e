"""What a child gives to I/O managers, for tests: a clock, sites from text, and a store that keeps what it gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.core.job import Job
from snqd.io.context import ChildServices
from snqd.io.enqueuer import Enqueuer
from snqd.io.reports import ManagerReports
from snqd.sites.registry import SiteRegistry

TEXT = "[snqd]\nid = t\n[handlers]\nmail = package.Mail\n[site:alpha]\n[site:beta]\n"


def settings_of(text: str) -> Settings:
    return load(Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": text}), plugins={})


def services(text: str = TEXT) -> ChildServices:
    return Desk(text).services


class Desk:
    """
    :ivar settings: those in force.
    :ivar stored: the jobs that the store has.
    :ivar answer: what the store answers next.
    :ivar counted: jobs that were counted.
    :ivar missed: how often the sites were to be looked up again.
    """

    def __init__(self, text: str = TEXT) -> None:
        self.clock = Clock()
        self.clock.advance(1700000000)
        self.settings = settings_of(text)
        self.stored: list[Job] = []
        self.counted: list[Job] = []
        self.missed = 0
        self.answer: Deferred[None] = succeed(None)
        sites = SiteRegistry(self.settings)
        self.enqueuer = Enqueuer(
            lambda: self.settings, sites, self._put, self.counted.append, self._miss, self.clock.seconds
        )
        self.services = ChildServices(self.clock, lambda: self.settings, sites, self.enqueuer, ManagerReports())

    def reload(self, text: str) -> None:
        self.settings = settings_of(text)
        self.services.sites.replace(self.settings)

    def _put(self, jobs: Any) -> Deferred[None]:
        self.stored += jobs
        return self.answer

    def _miss(self) -> None:
        self.missed += 1
