"""IdleSites: what a child built for a site goes again when the site has had no job for a while."""

from __future__ import annotations

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime

from snqd.handlers.registry import HandlerRegistry
from snqd.io.io_manager import IoManager
from snqd.sites.registry import SiteRegistry

IDLE_AFTER = 300.0
"""Seconds without a job, up to twice as many, after which a site's settings and own handlers are dropped."""


class IdleSites(IoManager):
    """One timer for all sites."""

    def __init__(self, clock: IReactorTime, sites: SiteRegistry, handlers: HandlerRegistry) -> None:
        super().__init__()
        self._sites = sites
        self._handlers = handlers
        timer = TimerService(IDLE_AFTER, self._tidy)
        timer.clock = clock
        timer.setServiceParent(self)

    def _tidy(self) -> None:
        self._sites.forget_idle()
        self._handlers.close_idle()
