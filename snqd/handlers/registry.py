"""HandlerRegistry: which handler does a queue's jobs for a site, made from what the configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from snqd.config.settings import HandlerSettings
from snqd.core.errors import NoHandler
from snqd.core.outcome import Outcome
from snqd.handlers import invoke
from snqd.handlers.loading import load_handler
from snqd.handlers.queue_handler import QueueHandler
from snqd.handlers.running_job import RunningJob
from snqd.handlers.threads import HandlerThreads, make_pool

if TYPE_CHECKING:
    from snqd.sites.site import Site


class Slot:
    """A handler with what it takes to run it.

    :ivar threads: where its blocking code runs; None if it runs on the reactor.
    """

    def __init__(self, handler: QueueHandler, reactor: Any, threads: HandlerThreads | None) -> None:
        self.handler = handler
        self.threads = threads
        self._reactor = reactor

    @property
    def settings(self) -> HandlerSettings:
        """The settings that the handler was made with; what concerns the queue alone is the site's own to say."""
        return self.handler.settings

    @property
    def stuck(self) -> int:
        """How many threads work on jobs that timed out or were cancelled."""
        return self.threads.stuck if self.threads is not None else 0

    def run(self, job: RunningJob) -> Outcome | Deferred[Outcome]:
        """Run the handler on `job`; see :func:`snqd.handlers.invoke.run`."""
        return invoke.run(self.handler, job, self._reactor, self.threads)


class _Variant(NamedTuple):
    """What a handler itself is made of: sites that agree in it share one instance."""

    queue: str
    target: str
    timeout: float
    threads: int
    http_allow: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


class HandlerRegistry:
    """The handlers of one process.

    A handler is built once and shared by all sites. A site that gives it a timeout or options of its own gets an
    instance of its own when its first job comes, and shares that with the sites that say the same. All instances of
    a queue share its threads.

    :param settings: the handlers to load, by queue.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: Mapping[str, HandlerSettings]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._shared: dict[str, Slot] = {}
        self._variants: dict[_Variant, Slot] = {}
        self._threads: dict[tuple[str, int], HandlerThreads] = {}

    def load(self) -> None:
        """Build every handler, so that what is wrong with one shows now.

        :raises HandlerLoadError: for the first that can't be built.
        """
        for queue, settings in self._settings.items():
            self._shared[queue] = self._slot(settings)

    def for_site(self, site: Site, queue: str) -> Slot:
        """The handler of `queue` for `site`.

        :raises NoHandler: if nobody handles the queue, or the site has it switched off.
        :raises HandlerLoadError: if the handler does not accept the site's own options.
        """
        settings = site.handler(queue)
        if settings is None:
            raise NoHandler(
                f"site {site.nickname} has no handler for queue {queue}: name one in [handlers], "
                f"unless [site:{site.nickname}] switches it off on purpose"
            )
        shared = self._shared.get(queue)
        if shared is not None and settings is shared.settings:
            return shared
        return self._slot(settings)

    def close(self) -> Deferred[None]:
        """Close all handlers and end their threads; fires when they are closed.

        An error of one is logged and keeps no other open.
        """
        slots = set(self._variants.values())
        closing = DeferredList([self._closed(slot) for slot in slots])
        self._shared.clear()
        self._variants.clear()
        return closing.addCallback(lambda _: self._end_threads())

    def _closed(self, slot: Slot) -> Deferred[Any]:
        closed = maybeDeferred(slot.handler.close)
        return closed.addErrback(
            lambda failure: self.log.failure(
                "Closing the handler of queue {queue} failed", failure, queue=slot.settings.queue
            )
        )

    def _end_threads(self) -> None:
        for threads in self._threads.values():
            threads.close()
        self._threads.clear()

    def _slot(self, settings: HandlerSettings) -> Slot:
        variant = _Variant(
            settings.queue,
            settings.target,
            settings.timeout,
            settings.threads,
            settings.http_allow,
            tuple(sorted(settings.options.items())),
        )
        slot = self._variants.get(variant)
        if slot is None:
            handler = load_handler(settings, self._reactor)
            slot = self._variants[variant] = Slot(handler, self._reactor, self._threads_for(settings))
        return slot

    def _threads_for(self, settings: HandlerSettings) -> HandlerThreads | None:
        if not settings.threads:
            return None
        key = settings.queue, settings.threads
        if key not in self._threads:
            pool = make_pool(settings.threads, f"handler {settings.queue}")
            self._threads[key] = HandlerThreads(self._reactor, settings.threads, pool)
        return self._threads[key]
