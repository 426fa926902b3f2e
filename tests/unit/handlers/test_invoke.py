import asyncio
import gc
import sys

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater

from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers import QueueHandler, Reject, RetryLater
from snqd.handlers.invoke import run

from .doubles import handler, running_job, settings


@pytest.fixture
def clock():
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


def outcome(handle, clock, job=None):
    return run(handler(handle), job or running_job(), clock)


def ended(deferred):
    """What a Deferred that has fired holds."""
    results = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    return results[0]


def refuse(error):
    raise error


@pytest.mark.parametrize("result", [None, 7, False, "no"])
def test_returning_anything_acknowledges_at_once(clock, result):
    assert outcome(lambda job: result, clock) is ACK


@pytest.mark.parametrize(
    ("error", "expected"), [(RetryLater(3, "busy"), Retry("busy", 3)), (Reject("never"), DeadLetter("never"))]
)
def test_an_exception_is_the_outcome_it_stands_for(clock, error, expected):
    assert outcome(lambda job: refuse(error), clock) == expected


def test_sys_exit_in_a_handler_is_a_retry(clock):
    assert outcome(lambda job: sys.exit(3), clock).reason == "SystemExit: 3"


def test_a_coroutine_that_does_not_wait_acknowledges_at_once(clock):
    async def handle(job):
        return await succeed(7)

    assert outcome(handle, clock) is ACK


def test_a_coroutine_that_fails_before_it_waits_fails_at_once(clock):
    async def handle(job):
        raise Reject("never")

    assert outcome(handle, clock) == DeadLetter("never")


def test_a_coroutine_goes_on_when_what_it_waits_for_is_there(clock):
    seen = []

    async def handle(job):
        seen.append(await deferLater(clock, 1, lambda: "first"))
        seen.append(await deferLater(clock, 1, lambda: "second"))

    waiting = outcome(handle, clock)
    clock.pump([1, 1])
    assert seen == ["first", "second"]
    assert ended(waiting) is ACK


def test_a_coroutine_gets_the_errors_of_what_it_waits_for(clock):
    async def handle(job):
        try:
            await deferLater(clock, 1, lambda: refuse(KeyError("gone")))
        except KeyError:
            await deferLater(clock, 1)
            raise Reject("gone") from None

    waiting = outcome(handle, clock)
    clock.pump([1, 1])
    assert ended(waiting) == DeadLetter("gone")


def test_the_traceback_of_a_coroutine_names_the_line_that_failed(clock):
    async def deep_inside():
        await deferLater(clock, 1)
        raise KeyError("gone")

    async def handle(job):
        await deep_inside()

    waiting = outcome(handle, clock)
    clock.advance(1)
    retry = ended(waiting)
    assert retry.reason == "KeyError: 'gone'"
    assert "in deep_inside" in retry.traceback


def test_a_deferred_that_has_fired_needs_no_other(clock):
    assert outcome(lambda job: succeed(None), clock) is ACK
    assert outcome(lambda job: fail(Reject("never")), clock) == DeadLetter("never")


def test_a_deferred_is_waited_for(clock):
    work = Deferred()
    waiting = outcome(lambda job: work, clock)
    assert not waiting.called
    work.callback(None)
    assert ended(waiting) is ACK


def test_the_traceback_of_a_failure_survives_its_way_through_deferreds(clock):
    def deep_inside():
        raise KeyError("gone")

    first, work = Deferred(), Deferred()
    first.addCallback(lambda _: deep_inside())
    first.callback(None)
    work.addCallback(lambda _: first)
    waiting = outcome(lambda job: work, clock)
    work.callback(None)
    assert "in deep_inside" in ended(waiting).traceback


async def a_coroutine():
    """Something to forget to await."""


def asyncio_future():
    loop = asyncio.new_event_loop()
    try:
        return loop.create_future()
    finally:
        loop.close()


@pytest.mark.parametrize("forgotten", [Deferred, a_coroutine, asyncio_future])
def test_what_a_coroutine_forgets_to_await_is_an_error(clock, forgotten):
    async def at_once(job):
        return forgotten()

    async def later(job):
        await deferLater(clock, 1)
        return forgotten()

    waiting = outcome(later, clock)
    clock.advance(1)
    assert "that nothing awaits: await it inside" in outcome(at_once, clock).reason
    assert "that nothing awaits: await it inside" in ended(waiting).reason


def test_a_deferred_that_brings_a_coroutine_is_an_error(clock):
    assert "a coroutine that nothing awaits" in outcome(lambda job: succeed(a_coroutine()), clock).reason


def test_returning_something_of_asyncio_is_an_error(clock):
    assert outcome(lambda job: asyncio_future(), clock).reason.startswith("TypeError: handle() gave back a Future")


def test_awaiting_something_of_asyncio_is_an_error(clock):
    async def at_once(job):
        await asyncio_future()

    async def later(job):
        await deferLater(clock, 1)
        await asyncio.sleep(0)

    waiting = outcome(later, clock)
    clock.advance(1)
    assert outcome(at_once, clock).reason == (
        "TypeError: handle() awaits a Future: handlers run on Twisted's reactor, so await Deferreds"
    )
    assert ended(waiting).reason.startswith("TypeError: handle() awaits a NoneType")


def test_asyncio_sleep_is_told_what_to_do(clock):
    assert "await Deferreds" in outcome(lambda job: asyncio.sleep(1), clock).reason


def test_a_job_that_runs_past_its_timeout_is_cancelled_and_retried(clock):
    cancelled = []
    waiting = outcome(lambda job: Deferred(cancelled.append), clock)
    clock.advance(599)
    assert not waiting.called
    clock.advance(1)
    assert ended(waiting) == Retry("ran longer than its timeout of 600 s")
    assert cancelled


def test_a_coroutine_can_clean_up_after_its_timeout(clock):
    cleaned = []

    async def handle(job):
        try:
            await Deferred()
        finally:
            cleaned.append(True)

    waiting = outcome(handle, clock)
    clock.advance(600)
    assert ended(waiting).reason == "ran longer than its timeout of 600 s"
    assert cleaned


def test_what_ignores_its_cancellation_goes_unheard(clock):
    endless = Deferred()

    async def handle(job):
        try:
            await Deferred()
        except CancelledError:
            await endless

    job = running_job()
    waiting = outcome(handle, clock, job)
    clock.advance(600)
    assert ended(waiting).reason == "ran longer than its timeout of 600 s"
    endless.callback(None)
    assert job.ended


def test_an_error_after_the_timeout_is_logged_and_dropped(clock):
    async def handle(job):
        try:
            await Deferred()
        except CancelledError:
            raise KeyError("late") from None

    waiting = outcome(handle, clock)
    clock.advance(600)
    assert ended(waiting).reason == "ran longer than its timeout of 600 s"
    gc.collect()


def test_a_canceller_that_fails_changes_nothing(clock):
    waiting = outcome(lambda job: Deferred(lambda _: refuse(KeyError("canceller"))), clock)
    clock.advance(600)
    assert ended(waiting).reason == "ran longer than its timeout of 600 s"


def test_cancelling_from_outside_cancels_the_handler_and_leaves_no_outcome(clock):
    cancelled = []

    async def handle(job):
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(True)
            raise

    job = running_job()
    waiting = outcome(handle, clock, job)
    waiting.cancel()
    assert ended(waiting).check(CancelledError)
    assert cancelled
    assert job.ended


def test_a_handler_that_cancels_something_itself_is_retried(clock):
    work = Deferred()
    waiting = outcome(lambda job: work, clock)
    work.cancel()
    assert ended(waiting).reason == "CancelledError"


def test_nothing_can_be_enqueued_after_the_outcome(clock):
    for handle in (lambda job: None, lambda job: 7, lambda job: refuse(KeyError()), lambda job: succeed(None)):
        job = running_job()
        outcome(handle, clock, job)
        assert job.ended


def test_a_handler_without_handle_says_so(clock):
    retry = run(QueueHandler(settings()), running_job(), clock)
    assert retry.reason == "NotImplementedError: QueueHandler has no handle() for queue thumbnails"
