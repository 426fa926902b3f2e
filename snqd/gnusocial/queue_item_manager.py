"""QueueItemTables: takes over what GNU social's sites put into their ``queue_item`` tables, a poller a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from snqd.config.settings import Settings
from snqd.gnusocial.queue_item_places import Places, places_of
from snqd.gnusocial.queue_item_poller import ItemPoller, Outlets
from snqd.io.interface import Scope
from snqd.io.io_manager import IoManager
from snqd.io.polling import PollLoop


class QueueItemTables(IoManager):
    """Keeps one poller for each database server that the sites name, as they come and go.

    :param settings: those in force.
    """

    log = Logger()
    scope = Scope.SINGLE_ONLY
    poll_interval = 1.0

    def __init__(self, reactor: Any, settings: Callable[[], Settings], outlets: Outlets) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._outlets = outlets
        self._seen: Settings | None = None
        self._servers: dict[str, _Server] = {}
        self._problems: Mapping[str, str] = {}
        self._quiet = False

    def poll(self) -> Deferred[bool]:
        """Follow the configuration; the pollers work by themselves."""
        return Deferred.fromCoroutine(self._follow())

    def quiet(self) -> None:
        """Take nothing more."""
        self._quiet = True
        for server in self._servers.values():
            server.poller.quiet()

    def drain(self, timeout: float) -> Deferred[Any]:
        """End every poller with what it has in hand."""
        self.quiet()
        return gatherResults([self._end(name) for name in list(self._servers)])

    async def _follow(self) -> bool:
        settings = self._settings()
        if settings is self._seen or self._quiet:
            return False
        self._seen = settings
        places = places_of(settings)
        self._tell(places)
        for name in self._servers.keys() - places.servers.keys():
            await self._end(name)
        for name, accounts in places.servers.items():
            server = self._servers.get(name) or self._begin(name, settings.queue.foreign_claim_age)
            server.poller.serve(accounts)
        return False

    def _tell(self, places: Places) -> None:
        if not (places.servers or places.problems):
            self.log.warn("foreign = gnusocial-db serves nothing: no site has app.status_network.dbname")
        problems = places.problems
        for site, problem in problems.items():
            if self._problems.get(site) != problem:
                self.log.error("the queue_item of site {site} is not served: {problem}", site=site, problem=problem)
        self._problems = problems

    def _begin(self, name: str, age: float) -> _Server:
        pool = ThreadPool(0, 1, f"queue_item on {name}")
        pool.start()

        def in_thread(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            return deferToThreadPool(self._reactor, pool, function, *arguments)

        poller = ItemPoller(self._reactor, name, self._outlets, in_thread, age)
        assert self.master is not None
        loop = PollLoop(self._reactor, poller, lambda name: None, self.master.working)
        self._servers[name] = _Server(poller, loop, pool)
        self.addService(loop)  # type: ignore[no-untyped-call]
        return self._servers[name]

    def _end(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._ending(self._servers.pop(name)))

    async def _ending(self, server: _Server) -> None:
        server.poller.quiet()
        under_way = self.removeService(server.loop)  # type: ignore[no-untyped-call]
        if under_way is not None:
            await under_way
        await server.poller.close()
        server.pool.stop()


@attrs.frozen
class _Server:
    poller: ItemPoller
    loop: PollLoop
    pool: ThreadPool
