"""SiteManagers: the I/O managers of which every site has its own, while sites come and go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from snqd.config.config_diff import compare_sites
from snqd.config.settings import Settings
from snqd.io.entry_points import ManagerFailed, managers_of_sites
from snqd.io.interface import IIoManager, IoContext
from snqd.io.io_master import IoMaster


class SiteManagers:
    """Makes those of a new site, and lets those of a site go that changed or is no more.

    :param context: what they are made with.
    :param wanted: whether this child runs such managers at all.
    """

    log = Logger()

    def __init__(self, context: IoContext, wanted: bool) -> None:
        self._context = context
        self._wanted = wanted
        self._managers: dict[str, list[IIoManager]] = {}

    def make(self, sites: Iterable[str]) -> list[IIoManager]:
        """Those of `sites`, for an IoMaster that is not started yet.

        :raises ManagerFailed: naming the package that brings one that can't be made.
        """
        made = managers_of_sites(self._context, sites) if self._wanted else {}
        self._managers |= made
        return [manager for managers in made.values() for manager in managers]

    def follow(self, settings: Settings, io_master: IoMaster) -> None:
        """Go over to the sites of `settings`; what fails in it is logged, since the other sites go on."""
        changes = compare_sites(self._context.settings, settings)
        self._context = attrs.evolve(self._context, settings=settings)
        if not self._wanted:
            return
        timeout = settings.daemon.drain_timeout
        for site in (*changes.removed, *changes.changed):
            for manager in self._managers.pop(site, ()):
                self._watch(f"stop of {manager.name} of site {site}", io_master.detach(manager, timeout))
        for site in (*changes.added, *changes.changed):
            self._add(site, io_master)

    def _add(self, site: str, io_master: IoMaster) -> None:
        try:
            managers = self.make([site])
        except ManagerFailed:
            self.log.failure("no I/O managers for site {site}", site=site)
            return
        for manager in managers:
            self._watch(f"start of {manager.name} of site {site}", io_master.attach(manager))

    def _watch(self, what: str, done: Deferred[Any]) -> None:
        done.addErrback(lambda failure: self.log.failure("site's I/O manager: {what} failed", failure, what=what))
