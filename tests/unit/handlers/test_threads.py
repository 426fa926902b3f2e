import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.core.outcome import ACK, DeadLetter
from snqd.handlers import Reject
from snqd.handlers.invoke import run
from snqd.handlers.threads import HandlerThreads

from .doubles import handler, running_job


class FakePool:
    """Runs what was called when the test says so, in two steps: begin, and return."""

    def __init__(self):
        self.calls = []
        self.stopped = False

    def start(self):
        self.stopped = False

    def stop(self):
        self.stopped = True

    def callInThreadWithCallback(self, onResult, func):
        self.calls.append((onResult, func))

    def run_next(self):
        report, func = self.calls.pop(0)
        try:
            result = func()
        except Exception:
            report(False, Failure())
        else:
            report(True, result)


class ClockWithThreads(Clock):
    def callFromThread(self, function, *args):
        self.callLater(0, function, *args)


class Farm:
    def __init__(self):
        self.clock = ClockWithThreads()
        self.pool = FakePool()
        self.threads = HandlerThreads(self.clock, 2, self.pool)

    def start(self, handle):
        return run(handler(handle), running_job(), self.clock, self.threads)

    def finish(self, waiting):
        self.pool.run_next()
        assert not waiting.called, "results come back in the reactor's thread"
        self.clock.advance(0)
        return waiting.result


@pytest.fixture
def farm():
    return Farm()


def refuse(error):
    raise error


def test_a_blocking_handler_is_acknowledged_when_its_thread_returns(farm):
    assert farm.finish(farm.start(lambda job: None)) is ACK


def test_an_error_in_a_thread_is_an_outcome(farm):
    assert farm.finish(farm.start(lambda job: refuse(Reject("never")))) == DeadLetter("never")


async def a_coroutine(job):
    """A coroutine has no business in a thread."""


@pytest.mark.parametrize("handle", [a_coroutine, lambda job: Deferred()])
def test_a_thread_must_block(farm, handle):
    assert "a handler with threads must block" in farm.finish(farm.start(handle)).reason


def test_a_thread_that_overruns_its_timeout_is_stuck_until_it_returns(farm):
    seen = []

    def handle(job):
        farm.clock.advance(600)
        seen.append(farm.threads.stuck)

    waiting = farm.start(handle)
    farm.pool.run_next()
    assert waiting.result.reason == "ran longer than its timeout of 600 s"
    assert seen == [1]
    farm.clock.advance(0)
    assert farm.threads.stuck == 0


def test_a_job_that_gets_no_thread_in_time_never_runs(farm):
    ran = []
    waiting = farm.start(ran.append)
    farm.clock.advance(600)
    assert waiting.result.reason == "waited 600 s for one of 2 threads, 0 of them stuck in other jobs"
    assert farm.threads.stuck == 0
    farm.pool.run_next()
    farm.clock.advance(0)
    assert ran == []


def test_closing_ends_the_threads(farm):
    farm.finish(farm.start(lambda job: None))
    farm.threads.close()
    assert farm.pool.stopped


def test_closing_does_not_wait_for_a_stuck_thread(farm):
    def handle(job):
        farm.clock.advance(600)
        farm.threads.close()

    farm.start(handle)
    farm.pool.run_next()
    assert not farm.pool.stopped
