"""What the tests of a handler need: one job run through it by the code that the daemon uses, without a daemon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.config.load import load
from snqd.config.settings import HandlerSettings, Settings, SiteSettings
from snqd.config.sources import Sources
from snqd.core.job import JSON, Job
from snqd.core.names import check_queue, check_site
from snqd.core.outcome import Ack, Outcome
from snqd.handlers.invoke import run
from snqd.handlers.queue_handler import QueueHandler
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.sites.site import Site
from snqd.wire import payload as wire

_PATH = "/example/snq.ini"


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
) -> JobResult:
    """Run one job through a new `handler_class` that is done at once.

    :param options: the handler's own keys of ``[handler:QUEUE]``.
    :param app: what ``job.site.config(NAME, KEY)`` finds, as ``{NAME: {KEY: text}}``.
    :raises AssertionError: if the handler waits for something: that takes :func:`run_job_async`.
    """
    settings = _settings(handler_class, site, queue, options or {}, app or {})
    results: list[JobResult] = []
    failures: list[Failure] = []
    waiting = _run(handler_class, settings, _job(payload, site, queue, attempt), Clock())
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
) -> Deferred[JobResult]:
    """Run one job through a new `handler_class`; fires when the outcome is known.

    The parameters are :func:`run_job`'s, and the reactor that the handler waits by: a
    :class:`~twisted.internet.task.Clock`, which the test advances, or a real one.
    """
    settings = _settings(handler_class, site, queue, options or {}, app or {})
    return _run(handler_class, settings, _job(payload, site, queue, attempt), reactor)


def _run(handler_class: type[QueueHandler], settings: Settings, job: Job, reactor: Any) -> Deferred[JobResult]:
    handler = handler_class(settings.handlers[job.queue])
    handler.reactor = reactor
    handler.start()
    site = Site(settings.sites[job.site], settings)
    running = RunningJob(job, site, JobContext(lambda site, queue: None, reactor.seconds))
    outcome = run(handler, running, reactor)
    ended: Deferred[Outcome] = outcome if isinstance(outcome, Deferred) else succeed(outcome)
    result = ended.addCallback(_result, running)

    def close(passed: Any) -> Deferred[Any]:
        return maybeDeferred(handler.close).addCallback(lambda _: passed)

    return result.addBoth(close)


def _result(outcome: Outcome, running: RunningJob) -> JobResult:
    acknowledged = running.follow_ups if isinstance(outcome, Ack) else []
    return JobResult(outcome, [_follow_up(job) for job in acknowledged])


def _follow_up(job: Job) -> FollowUp:
    delay = job.not_before - job.created if job.not_before else 0.0
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
