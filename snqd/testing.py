"""What tests of handlers and I/O managers need: both run by the code that the daemon uses, without a daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.config.config_diff import compare_sites
from snqd.config.load import load
from snqd.config.settings import HandlerSettings, Settings, SiteSettings
from snqd.config.sources import Sources
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.job import JSON, Job
from snqd.core.names import check_queue, check_site
from snqd.core.outcome import Ack, Outcome
from snqd.handlers.invoke import run
from snqd.handlers.queue_handler import QueueHandler
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.io.context import ChildServices
from snqd.io.enqueuer import Enqueuer
from snqd.io.entry_points import Factory, factory_of
from snqd.io.reports import ManagerReports
from snqd.sites.registry import SiteRegistry
from snqd.sites.site import Site
from snqd.wire import payload as wire

_PATH = "/example/snq.ini"
_ENTRY_POINT = "example"
T = TypeVar("T")


@attrs.frozen
class FollowUp:
    """A job that the handler enqueued; `delay` is seconds."""

    site: str
    queue: str
    payload: Any
    delay: float


@attrs.frozen
class JobResult:
    """What became of the job.

    :ivar outcome: :class:`~snqd.core.outcome.Ack`, Retry or DeadLetter; the retry policy has not been asked yet.
    :ivar follow_ups: what the handler enqueued; none unless the job is acknowledged.
    """

    outcome: Outcome
    follow_ups: list[FollowUp]


def run_job(
    handler_class: type[QueueHandler],
    payload: Any,
    *,
    site: str = "example",
    queue: str = "test",
    options: Mapping[str, str] | None = None,
    app: Mapping[str, Mapping[str, str]] | None = None,
    attempt: int = 1,
    time: float | None = None,
) -> JobResult:
    """Run one job through a new `handler_class` that is done at once.

    :param options: the handler's own keys of ``[handler:QUEUE]``.
    :param app: what ``job.site.config(NAME, KEY)`` finds, as ``{NAME: {KEY: text}}``.
    :param time: what ``job.time()`` says at first, in Unix seconds, by default the real time; the reactor
        moves it on.
    :raises AssertionError: if the handler waits for something: that takes :func:`run_job_async`.
    """
    settings = _settings(handler_class, site, queue, options or {}, app or {})
    results: list[JobResult] = []
    failures: list[Failure] = []
    waiting = _run(handler_class, settings, _job(payload, site, queue, attempt), Clock(), time)
    waiting.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    if not results:
        waiting.cancel()
        raise AssertionError(f"{handler_class.__name__}.handle() waits for something: test it with run_job_async")
    return results[0]


def run_job_async(
    handler_class: type[QueueHandler],
    payload: Any,
    *,
    reactor: Any,
    site: str = "example",
    queue: str = "test",
    options: Mapping[str, str] | None = None,
    app: Mapping[str, Mapping[str, str]] | None = None,
    attempt: int = 1,
    time: float | None = None,
) -> Deferred[JobResult]:
    """Run one job through a new `handler_class`; fires when the outcome is known.

    The parameters are :func:`run_job`'s, and the reactor that the handler waits by: a
    :class:`~twisted.internet.task.Clock`, which the test advances, or a real one.
    """
    settings = _settings(handler_class, site, queue, options or {}, app or {})
    return _run(handler_class, settings, _job(payload, site, queue, attempt), reactor, time)


def _run(
    handler_class: type[QueueHandler], settings: Settings, job: Job, reactor: Any, time: float | None
) -> Deferred[JobResult]:
    handler = handler_class(settings.handlers[job.queue])
    handler.reactor = reactor
    handler.start()
    site = Site(settings.sites[job.site], settings)
    running = RunningJob(job, site, JobContext(lambda site, queue: None, _dates(reactor, time)))
    outcome = run(handler, running, reactor)
    ended: Deferred[Outcome] = outcome if isinstance(outcome, Deferred) else succeed(outcome)
    result = ended.addCallback(_result, running)

    def close(passed: Any) -> Deferred[Any]:
        return maybeDeferred(handler.close).addCallback(lambda _: passed)

    return result.addBoth(close)


def _dates(reactor: Any, time: float | None) -> Callable[[], UnixTime]:
    ahead = (unix_time() if time is None else time) - reactor.seconds()
    return lambda: UnixTime(reactor.seconds() + ahead)


def _result(outcome: Outcome, running: RunningJob) -> JobResult:
    acknowledged = running.follow_ups if isinstance(outcome, Ack) else []
    return JobResult(outcome, [_follow_up(job) for job in acknowledged])


def _follow_up(job: Job) -> FollowUp:
    # Dates are exact to a quarter of a microsecond.
    delay = round(job.not_before - job.created, 6) if job.not_before else 0.0
    return FollowUp(job.site, job.queue, wire.decode(job.body, job.encoding), delay)


def _job(payload: Any, site: str, queue: str, attempt: int) -> Job:
    return Job("example-1", check_site(site), check_queue(queue), wire.encode(payload), JSON, attempt=attempt)


def _settings(
    handler_class: type[QueueHandler],
    site: str,
    queue: str,
    options: Mapping[str, str],
    app: Mapping[str, Mapping[str, str]],
) -> Settings:
    defaults = load(Sources(Path(_PATH), {_PATH: ""}), plugins={})
    target = f"{handler_class.__module__}:{handler_class.__qualname__}"
    where = f"{_PATH} [handlers] {queue}"
    handler = HandlerSettings(queue, target, options=options, where=where)
    record = SiteSettings(site, _PATH, server=f"{site}.example", name=site)
    return attrs.evolve(defaults, handlers={queue: handler}, sites={site: record}, apps=app)


@attrs.frozen
class Enqueued:
    """A job that an I/O manager put into the store; `delay` is seconds."""

    site: str
    queue: str
    payload: Any
    delay: float
    id: str


class IoBench:
    """One I/O manager on a clock that the test advances, with a store that only notes what it is given.

    Jobs, reports and configuration are checked by the code that the daemon uses. Nothing is polled by itself, and
    `in_thread` calls at once, without a thread.

    :param factory: the class or function that the entry point names.
    :param config: text of a configuration: sites, queues in ``[handlers]``, ``[app:NAME]``.
    :param site: the nickname of the site to serve, for scope INSTANCE_PER_SITE.
    :ivar clock: the manager's reactor, a :class:`~twisted.internet.task.Clock`.
    :ivar manager: what the factory made.
    :ivar context: what the factory was given.
    :ivar enqueued: the jobs that the store has accepted, in their order.
    :ivar store_error: what the store fails with, such as ``StoreError("disk full")``; None while it takes jobs.
    :ivar worked: what the manager told its master by `working`.
    :ivar exit_code: what it told its master by `leave`; None if it did not.
    """

    def __init__(self, factory: Factory, config: str = "", site: str | None = None) -> None:
        self.clock = Clock()
        self.enqueued: list[Enqueued] = []
        self.store_error: Exception | None = None
        self.worked: list[str] = []
        self.exit_code: int | None = None
        self._settings = _parsed(config)
        self._sites = SiteRegistry(self._settings)
        self._reports = ManagerReports()
        enqueuer = Enqueuer(
            lambda: self._settings, self._sites, self._put, lambda job: None, lambda: None, _dates(self.clock, None)
        )
        services = ChildServices(
            self.clock, lambda: self._settings, self._sites, enqueuer, self._reports, lambda reactor, name: _NoThreads()
        )
        self._runs = factory_of(_ENTRY_POINT, factory).manager(services, site)
        self.manager: Any = self._runs.inner
        self.context = self._runs.context

    @property
    def reported(self) -> Mapping[str, Any] | None:
        """The manager's latest report, None if there is none."""
        return self._reports.latest.get(self.context.name)

    def start(self, within: float = 0) -> None:
        """Start it; fails as it does. The parameter is that of :meth:`poll`."""
        self._runs.startService()  # type: ignore[no-untyped-call]
        self._ended("start", self._runs.start(self), within)

    def poll(self, within: float = 0) -> bool:
        """Poll once; returns whether there was any work, and raises what it raised.

        :param within: seconds by which the clock is advanced while it waits for something.
        :raises AssertionError: if it still waits then.
        """
        return bool(self._ended("poll", self._runs.poll(), within))

    def reload(self, config: str) -> None:
        """Go over to another configuration."""
        before, self._settings = self._settings, _parsed(config)
        self._sites.replace(self._settings)
        changes = compare_sites(before, self._settings)
        self._runs.reloaded(changes.added, changes.changed, changes.removed)

    def drain(self, timeout: float = 25, within: float = 0) -> None:
        """Quiet it, drain it within `timeout` seconds, and stop it. For `within` see :meth:`poll`."""
        self._runs.quiet()
        self._ended("drain", self._runs.drain(timeout), within)
        self._ended("stop", self._runs.stop(), within)
        self._ended("stopService", maybeDeferred(self._runs.stopService), within)

    def working(self, substate: str = "") -> None:
        """As the manager's master, note that it works."""
        self.worked.append(substate)

    def leave(self, exit_code: int) -> None:
        """As the manager's master, note that it wants the process to end."""
        self.exit_code = exit_code

    def _put(self, jobs: Sequence[Job]) -> Deferred[None]:
        if self.store_error is not None:
            return fail(self.store_error)
        for job in jobs:
            made = _follow_up(job)
            self.enqueued.append(Enqueued(made.site, made.queue, made.payload, made.delay, job.id))
        return succeed(None)

    def _ended(self, what: str, waiting: Deferred[T], within: float) -> T:
        results: list[T] = []
        failures: list[Failure] = []
        waiting.addCallbacks(results.append, failures.append)
        if within and not waiting.called:
            self.clock.pump([within / _STEPS] * _STEPS)
        if failures:
            failures[0].raiseException()
        if not results:
            raise AssertionError(f"{what}() waits for something: give it time by {what}(within=SECONDS)")
        return results[0]


_STEPS = 100
"""Steps in which a clock is advanced, so that timers that follow each other have their turn."""


class _NoThreads:
    """Calls at once."""

    def call(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return maybeDeferred(function, *args)

    def when_idle(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> None:
        """There are none."""


def _parsed(config: str) -> Settings:
    return load(Sources(Path(_PATH), {_PATH: config}), plugins={})
