"""JobRunner: jobs run here and now through their handlers, without the queue: for ``snqctl run`` and immediate mode."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from threading import Thread
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from snqd.core.clocks import make_steady, unix_time
from snqd.core.errors import ConfigError, SnqdError
from snqd.core.job import Job
from snqd.core.outcome import Ack, DeadLetter, Outcome, Retry
from snqd.handlers.loading import HandlerLoadError
from snqd.handlers.registry import HandlerRegistry
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.snqctl.feed import Failures
from snqd.snqctl.invocation import Invocation

T = TypeVar("T")


@attrs.frozen
class Ran:
    """How a job ended.

    :ivar follow_ups: what its handler enqueued; they count only with an Ack.
    """

    outcome: Outcome
    follow_ups: Sequence[Job]


class JobRunner:
    """Runs jobs one after another; called from a thread beside the reactor's."""

    def __init__(self, reactor: Any, invocation: Invocation, handlers: HandlerRegistry) -> None:
        self._reactor = reactor
        self._invocation = invocation
        self._handlers = handlers
        self._surroundings = JobContext(invocation.check_target, unix_time)

    def run(self, job: Job) -> Ran:
        """Run `job` to its end.

        :raises UnknownSite, NoHandler: if nobody can.
        """
        wait: Any = blockingCallFromThread  # its annotations know no generic Deferred
        ran: Ran = wait(self._reactor, self._start, job)
        return ran

    def _start(self, job: Job) -> Deferred[Ran]:
        return Deferred.fromCoroutine(self._run(job))

    async def _run(self, job: Job) -> Ran:
        site = self._invocation.sites.get(job.site)
        running = RunningJob(job, site, self._surroundings)
        outcome = self._handlers.for_site(site, job.queue).run(running)
        if isinstance(outcome, Deferred):
            outcome = await outcome
        return Ran(outcome, running.follow_ups)


class ImmediateSink:
    """Where jobs go with ``[queue] enabled = no``: each runs at once, and so do its follow-ups.

    :ivar accepted: how many were acknowledged, follow-ups not counted.
    :ivar unknown: none: all end before it is said how they did.
    :ivar runner: set before the first jobs come.
    """

    runner: JobRunner

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self.accepted = self.unknown = 0

    def accept(self, jobs: Sequence[Job]) -> None:
        """Run `jobs`; those that are not acknowledged are reported, for there is no queue to keep them."""
        for job in jobs:
            self.accepted += run_all(self.runner, job, self._failures)


def run_all(runner: JobRunner, job: Job, failures: Failures) -> bool:
    """Run `job`, then its follow-ups and theirs, at once whatever their delay; whether `job` itself was acknowledged.

    What was not acknowledged is reported.
    """
    waiting = deque([job])
    acknowledged = set()
    while waiting:
        each = waiting.popleft()
        try:
            ran = runner.run(each)
        except SnqdError as error:
            failures.report({"job": each.id}, error)
            continue
        if isinstance(ran.outcome, Ack):
            acknowledged.add(each.id)
            waiting.extend(ran.follow_ups)
        else:
            failures.report({"job": each.id}, in_words(ran.outcome))
    return job.id in acknowledged


def in_words(outcome: Outcome) -> str:
    """An outcome, for people."""
    if isinstance(outcome, Retry):
        later = "" if outcome.delay is None else f" in {outcome.delay:g} s"
        return f"Retry{later}: {outcome.reason}"
    if isinstance(outcome, DeadLetter):
        return f"DeadLetter: {outcome.reason}"
    return "Ack"


def beside_reactor(invocation: Invocation, queues: Collection[str], work: Callable[[JobRunner], T]) -> T:
    """Load the handlers of `queues`, then do `work`, which blocks, in a thread while the reactor runs in this one.

    The other queues' handlers are loaded when a follow-up needs one.

    :raises ConfigError: if a handler can't be loaded.
    :raises KeyboardInterrupt: if the reactor was stopped by a signal before `work` had ended.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    make_steady(reactor)
    known = invocation.settings.handlers
    handlers = HandlerRegistry(reactor, {queue: known[queue] for queue in queues if queue in known})
    try:
        handlers.load()
    except HandlerLoadError as error:
        raise ConfigError([str(error)]) from error
    outcome = _in_thread(reactor, lambda: work(JobRunner(reactor, invocation, handlers)))
    reactor.addSystemEventTrigger("before", "shutdown", handlers.close)
    reactor.run()
    if not outcome:
        raise KeyboardInterrupt
    return outcome[0]()


def _in_thread(reactor: Any, work: Callable[[], T]) -> list[Callable[[], T]]:
    """Starts `work` with the reactor and stops that afterwards; the list then gives its result, or raises its error."""
    outcome: list[Callable[[], T]] = []

    def give(result: T) -> T:
        return result

    def fail(error: BaseException) -> T:
        raise error

    def thread() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            outcome.append(lambda error=error: fail(error))  # type: ignore[misc]
        else:
            outcome.append(lambda: give(result))
        reactor.callFromThread(_stop, reactor)

    # A daemon thread: after an interrupt it may sit in a read for ever.
    reactor.callWhenRunning(Thread(target=thread, name="snqctl", daemon=True).start)
    return outcome


def _stop(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()
