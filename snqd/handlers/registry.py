"""HandlerRegistry: which handler does a queue's jobs for a site, made from what the configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from snqd.config.settings import HandlerSettings
from snqd.core.errors import NoHandler
from snqd.core.outcome import Outcome
from snqd.handlers import invoke
from snqd.handlers.loading import HandlerLoadError, load_handler
from snqd.handlers.misspelt_options import near_misses
from snqd.handlers.queue_handler import QueueHandler
from snqd.handlers.running_job import RunningJob
from snqd.handlers.threads import HandlerThreads, make_pool

if TYPE_CHECKING:
    from snqd.sites.site import Site


class Slot:
    """A handler with what it takes to run it.

    :ivar threads: where its blocking code runs; None if it runs on the reactor.
    :ivar used: whether a job ran in it since this was last set to False.
    """

    def __init__(self, handler: QueueHandler, reactor: Any, threads: HandlerThreads | None) -> None:
        self.handler = handler
        self.threads = threads
        self.used = True
        self._reactor = reactor
        self._jobs = 0
        self._free: Deferred[None] | None = None

    def take(self) -> None:
        """A job begins to run in it."""
        self.used = True
        self._jobs += 1

    def give(self) -> None:
        """A job has ended."""
        self._jobs -= 1
        if not self._jobs and self._free is not None:
            self._free.callback(None)

    @property
    def idle(self) -> bool:
        """Whether no job runs in it."""
        return not self._jobs

    def when_free(self) -> Deferred[None]:
        """Fires when the last job in it has ended; called once."""
        self._free = Deferred()
        if not self._jobs:
            self._free.callback(None)
        return self._free

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


@attrs.frozen(eq=False)
class PreparedHandlers:
    """Handlers that are not in use yet and count as used; one of the two is called, once.

    :ivar shared: those that all sites share, by queue.
    :ivar built: those among them that were not there before.
    """

    _registry: HandlerRegistry
    settings: Mapping[str, HandlerSettings]
    shared: Mapping[str, Slot]
    built: Mapping[_Variant, Slot]

    def commit(self) -> None:
        """Go over to them. Handlers that are needed no more are closed when their last job has ended; those that sites
        have for themselves are built again at their next job.
        """
        self._registry.replace(self)

    def drop(self) -> None:
        """Close what was built in vain."""
        self._registry.drop(self)


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
        self._prepared: list[PreparedHandlers] = []
        self._leaving: set[Slot] = set()
        self._closings: set[Deferred[Any]] = set()

    def load(self) -> None:
        """Build every handler, so that what is wrong with one shows now.

        :raises HandlerLoadError: for the first that can't be built.
        """
        self.prepare(self._settings).commit()

    def prepare(self, settings: Mapping[str, HandlerSettings]) -> PreparedHandlers:
        """Build what `settings` need and is not there yet, to be committed or dropped.

        :raises HandlerLoadError: for the first that can't be built; the others that were built are closed.
        """
        built: dict[_Variant, Slot] = {}
        shared: dict[str, Slot] = {}
        try:
            for queue, each in settings.items():
                variant = _variant(each)
                if variant not in self._variants and variant not in built:
                    built[variant] = self._build(each)
                    self._warn_of_near_misses(built[variant], each.options, f"[handler:{queue}] ")
                shared[queue] = built[variant] if variant in built else self._variants[variant]
        except HandlerLoadError:
            self._retire(built.values())
            raise
        self._prepared.append(PreparedHandlers(self, settings, shared, built))
        return self._prepared[-1]

    def drop(self, prepared: PreparedHandlers) -> None:
        """See :meth:`PreparedHandlers.drop`."""
        if self._no_longer(prepared):
            self._retire(prepared.built.values())

    def replace(self, prepared: PreparedHandlers) -> None:
        """See :meth:`PreparedHandlers.commit`."""
        if not self._no_longer(prepared):
            return
        old = self._variants
        self._settings = prepared.settings
        self._shared = dict(prepared.shared)
        self._variants = {_variant(slot.settings): slot for slot in self._shared.values()}
        self._retire([slot for variant, slot in old.items() if self._variants.get(variant) is not slot])

    def _no_longer(self, prepared: PreparedHandlers) -> bool:
        """Whether `prepared` counted as used until now: :meth:`close` may have come first."""
        if prepared not in self._prepared:
            return False
        self._prepared.remove(prepared)
        return True

    def _held(self) -> set[Slot]:
        """Those that are prepared."""
        return {slot for prepared in self._prepared for slot in prepared.shared.values()}

    def close_idle(self) -> None:
        """Close the handlers that sites have for themselves and that ran no job since the last call."""
        kept = self._held().union(self._shared.values())
        for variant, slot in list(self._variants.items()):
            if slot in kept or slot.used or not slot.idle:
                slot.used = False
            else:
                del self._variants[variant]
                self._retire([slot])

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
        daemons = self._settings.get(queue)
        if settings is daemons:
            return self._shared[queue]
        variant = _variant(settings)
        slot = self._variants.get(variant)
        if slot is None:
            slot = self._variants[variant] = self._build(settings)
            own = settings.options.keys() - (daemons.options.keys() if daemons else ())
            self._warn_of_near_misses(slot, sorted(own), f"[site:{site.nickname}] handler:{queue}.")
        return slot

    def close(self) -> Deferred[None]:
        """Close all handlers and end their threads; fires when they are closed.

        An error of one is logged and keeps no other open.
        """
        slots = self._held().union(self._variants.values(), self._leaving)
        self._prepared.clear()
        self._shared.clear()
        self._variants.clear()
        self._leaving.clear()
        closing = DeferredList([*(self._closed(slot) for slot in slots), *self._closings])
        return closing.addCallback(lambda _: self._end_threads())

    def _build(self, settings: HandlerSettings) -> Slot:
        return Slot(load_handler(settings, self._reactor), self._reactor, self._threads_for(settings))

    def _warn_of_near_misses(self, slot: Slot, options: Iterable[str], where: str) -> None:
        for option, problem in near_misses(options, slot.handler.own_options).items():
            self.log.warn("{where}{option}: {problem}", where=where, option=option, problem=problem)

    def _retire(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            self._leaving.add(slot)
            slot.when_free().addCallback(self._close_leaving, slot)

    def _close_leaving(self, _: None, slot: Slot) -> None:
        if slot not in self._leaving:  # close() came first
            return
        self._leaving.discard(slot)
        closed = self._closed(slot)
        self._closings.add(closed)
        closed.addCallback(lambda _: self._closings.discard(closed))
        self._end_unused_threads(slot.settings)

    def _closed(self, slot: Slot) -> Deferred[Any]:
        closed = maybeDeferred(slot.handler.close)
        return closed.addErrback(
            lambda failure: self.log.failure(
                "Closing the handler of queue {queue} failed", failure, queue=slot.settings.queue
            )
        )

    def _end_unused_threads(self, settings: HandlerSettings) -> None:
        key = settings.queue, settings.threads
        if key in self._threads and not any(
            slot.threads is self._threads[key] for slot in (*self._variants.values(), *self._leaving, *self._held())
        ):
            self._threads.pop(key).close()

    def _end_threads(self) -> None:
        for threads in self._threads.values():
            threads.close()
        self._threads.clear()

    def _threads_for(self, settings: HandlerSettings) -> HandlerThreads | None:
        if not settings.threads:
            return None
        key = settings.queue, settings.threads
        if key not in self._threads:
            pool = make_pool(settings.threads, f"handler {settings.queue}")
            self._threads[key] = HandlerThreads(self._reactor, settings.threads, pool)
        return self._threads[key]


def _variant(settings: HandlerSettings) -> _Variant:
    return _Variant(
        settings.queue,
        settings.target,
        settings.timeout,
        settings.threads,
        settings.http_allow,
        tuple(sorted(settings.options.items())),
    )
