"""Running a handler on a job: from ``handle(job)``, whatever it gives back, to exactly one Outcome."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.outcome import ACK, Outcome, Retry
from snqd.handlers.coroutines import begin, refuse_awaitable
from snqd.handlers.outcomes import outcome_of
from snqd.handlers.queue_handler import QueueHandler
from snqd.handlers.running_job import RunningJob
from snqd.handlers.threads import HandlerThreads


def run(
    handler: QueueHandler, job: RunningJob, clock: IReactorTime, threads: HandlerThreads | None = None
) -> Outcome | Deferred[Outcome]:
    """Run `handler` on `job`.

    The Outcome comes back at once if the handler is done at once. Else a Deferred fires with it: when the handler
    is done, or when ``settings.timeout`` seconds have passed; then the handler is cancelled, and what it still does
    goes unheard. To cancel the Deferred cancels the handler, too, and fails the Deferred with CancelledError: there
    is no outcome.

    :param threads: where ``handle`` runs if it blocks; a coroutine or Deferred from there is an error.
    """
    if threads is not None:
        return _in_thread(handler, job, clock, threads)
    try:
        result = handler.handle(job)
        if result is not None and (work := _work_left(result)) is not None:
            return _Waiting(job, work, clock, handler.settings.timeout).outcome_or_deferred()
    except BaseException as error:  # noqa: BLE001  sys.exit() in a handler must not cost its neighbours their process
        job.ended = True
        return outcome_of(error)
    job.ended = True
    return ACK


def _work_left(result: Any) -> Deferred[Any] | None:
    """What is still to be waited for, given what ``handle(job)`` gave back."""
    if type(result) is CoroutineType or isinstance(result, Coroutine):
        return begin(result)
    if isinstance(result, Deferred):
        return result
    refuse_awaitable(result)
    return None


def _in_thread(
    handler: QueueHandler, job: RunningJob, clock: IReactorTime, threads: HandlerThreads
) -> Outcome | Deferred[Outcome]:
    timeout = handler.settings.timeout
    result = threads.call(_blocking, handler, job)

    def too_late() -> str:
        if result.begun:
            return _ran_too_long(timeout)
        return f"waited {timeout:g} s for one of {threads.size} threads, {threads.stuck} of them stuck in other jobs"

    return _Waiting(job, result, clock, timeout, too_late).outcome_or_deferred()


def _blocking(handler: QueueHandler, job: RunningJob) -> None:
    refuse_awaitable(handler.handle(job), "a handler with threads must block until it is done, or do without threads")


def _ran_too_long(timeout: float) -> str:
    return f"ran longer than its timeout of {timeout:g} s"


class _Waiting:
    """A job whose handler waits for `work`: it ends once, by the work's result, its timeout or by being cancelled."""

    log = Logger()

    def __init__(
        self,
        job: RunningJob,
        work: Deferred[Any],
        clock: IReactorTime,
        timeout: float,
        too_late: Callable[[], str] | None = None,
    ) -> None:
        self._job = job
        self._work = work
        self._clock = clock
        self._timeout = timeout
        self._too_late = too_late
        self._outcome: Outcome | None = None
        self._over: Deferred[Outcome] | None = None
        work.addCallbacks(self._succeeded, self._failed)

    def outcome_or_deferred(self) -> Outcome | Deferred[Outcome]:
        """The outcome if it is there already; else set the timeout and promise it."""
        if self._outcome is not None:
            return self._outcome
        self._over = Deferred(self._cancelled)
        self._timer = self._clock.callLater(self._timeout, self._timed_out)
        return self._over

    def _succeeded(self, result: Any) -> None:
        if self._job.ended:
            return
        try:
            refuse_awaitable(result)
        except TypeError as error:
            self._end(outcome_of(error))
        else:
            self._end(ACK)

    def _failed(self, failure: Failure) -> None:
        if not self._job.ended:
            error = failure.value
            assert error is not None
            # A failure that has travelled through Deferreds keeps its traceback as text only.
            self._end(outcome_of(error, None if error.__traceback__ else failure.getTraceback()))
        elif not failure.check(CancelledError):
            self.log.debug(
                "Job {job} of queue {queue}, site {site}: its handler was cancelled, and then failed: {error!r}",
                job=self._job.id,
                queue=self._job.queue,
                site=self._job.site.nickname,
                error=failure.value,
            )

    def _end(self, outcome: Outcome) -> None:
        self._job.ended = True
        if self._over is None:
            self._outcome = outcome
            return
        self._timer.cancel()
        self._over.callback(outcome)

    def _timed_out(self) -> None:
        reason = self._too_late() if self._too_late else _ran_too_long(self._timeout)
        self._job.ended = True
        self._abandon()
        assert self._over is not None
        self._over.callback(Retry(reason))

    def _cancelled(self, _: Deferred[Outcome]) -> None:
        self._job.ended = True
        self._timer.cancel()
        self._abandon()

    def _abandon(self) -> None:
        try:
            self._work.cancel()
        except Exception:  # noqa: BLE001  the canceller is the handler's own code
            self.log.failure(
                "Cancelling the handler failed, on job {job} of site {site}, queue {queue}, attempt {attempt}",
                job=self._job.id,
                site=self._job.site.nickname,
                queue=self._job.queue,
                attempt=self._job.attempt,
            )
