"""SiteManagers: the I/O managers of which every site has its own, while sites come and go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from snqd.config.config_diff import compare_sites
from snqd.config.settings import Settings
from snqd.io.context import ChildServices
from snqd.io.entry_points import ManagerFailed, Place, managers_of_sites
from snqd.io.interface import IIoManager
from snqd.io.io_master import IoMaster
from snqd.io.plugin_manager import PluginManager


class SiteManagers:
    """Makes those of a new site, and lets those of a site go that changed or is no more.

    :param services: what they are made with.
    :param settings: those in force.
    :param place: where this child stands; None if it runs no such managers at all.
    """

    log = Logger()

    def __init__(self, services: ChildServices, settings: Settings, place: Place | None) -> None:
        self._services = services
        self._settings = settings
        self._place = place
        self._managers: dict[str, list[PluginManager]] = {}
        self._ending: dict[str, Deferred[Any]] = {}

    def make(self, sites: Iterable[str]) -> list[IIoManager]:
        """Those of `sites`, for an IoMaster that is not started yet.

        :raises ManagerFailed: naming the package that brings one that can't be made.
        """
        made = managers_of_sites(self._services, self._place, sites) if self._place is not None else {}
        self._managers.update(made)
        return [manager for managers in made.values() for manager in managers]

    def follow(self, settings: Settings, io_master: IoMaster) -> None:
        """Go over to `settings`, and tell the managers that stay; what fails is logged, since others go on."""
        changes = compare_sites(self._settings, settings)
        self._settings = settings
        if self._place is None:
            return
        for site in (*changes.removed, *changes.changed):
            self._end(site, io_master)
        io_master.reloaded(changes.added, changes.changed, changes.removed)
        for site in (*changes.added, *changes.changed):
            ending = self._ending.get(site)
            if ending is None:
                self._add(site, io_master)
            else:
                ending.addCallback(self._add_later, site, io_master)

    def _end(self, site: str, io_master: IoMaster) -> None:
        timeout = self._settings.daemon.drain_timeout
        # None while those before them are still ending.
        managers = self._managers.pop(site, ())
        ended = [
            self._watch(f"stop of {manager.name} of site {site}", io_master.detach(manager, timeout))
            for manager in managers
        ]
        if not all(each.called for each in ended):
            self._ending[site] = gatherResults(ended).addCallback(self._ended, site)

    def _ended(self, _: Any, site: str) -> None:
        self._ending.pop(site, None)

    def _add_later(self, _: Any, site: str, io_master: IoMaster) -> None:
        self._add(site, io_master)

    def _add(self, site: str, io_master: IoMaster) -> None:
        if site in self._managers or site not in self._settings.sites:
            return  # it has changed again meanwhile
        try:
            managers = self.make([site])
        except ManagerFailed:
            self.log.failure("no I/O managers for site {site}", site=site)
            return
        for manager in managers:
            self._watch(f"start of {manager.name} of site {site}", io_master.attach(manager))

    def _watch(self, what: str, done: Deferred[Any]) -> Deferred[Any]:
        return done.addErrback(
            lambda failure: self.log.failure("site's I/O manager: {what} failed", failure, what=what)
        )
