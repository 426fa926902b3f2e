import time

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from snqd.core.errors import BadName
from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers import QueueHandler, Reject, RetryLater
from snqd.testing import FollowUp, run_job, run_job_async


class Curious(QueueHandler):
    """Enqueues all that it can see."""

    def handle(self, job):
        seen = {
            "payload": job.payload,
            "attempt": job.attempt,
            "size": self.options.get("size"),
            "dir": job.site.config("media", "dir", default="nowhere"),
        }
        job.enqueue("seen", seen, delay=60, site="other")
        job.enqueue(job.queue, job.site.nickname)


class Failing(QueueHandler):
    def handle(self, job):
        job.enqueue("seen", 1)
        raise {"retry": RetryLater(3, "busy"), "reject": Reject("never")}.get(job.payload, KeyError(job.payload))


class Waiting(QueueHandler):
    cancelled = False

    def handle(self, job):
        def cancel(_):
            type(self).cancelled = True

        return Deferred(cancel)


class Unclosable(QueueHandler):
    def handle(self, job):
        """Done at once."""

    def close(self):
        raise OSError("disk")


def test_a_handler_sees_what_the_test_gives_it():
    result = run_job(
        Curious, [7], site="alpha", queue="mine", options={"size": "9"}, app={"media": {"dir": "/srv"}}, attempt=3
    )
    seen = {"payload": [7], "attempt": 3, "size": "9", "dir": "/srv"}
    assert result.outcome is ACK
    assert result.follow_ups == [FollowUp("other", "seen", seen, 60.0), FollowUp("alpha", "mine", "alpha", 0.0)]


def test_what_the_test_leaves_out_has_defaults():
    seen = run_job(Curious, None).follow_ups[0].payload
    assert seen == {"payload": None, "attempt": 1, "size": None, "dir": "nowhere"}


class Dated(QueueHandler):
    """Tells the date, and again after a minute."""

    async def handle(self, job):
        first = job.time()
        await deferLater(self.reactor, 60)
        job.enqueue("seen", [first, job.time()], delay=0.1)


def test_the_date_is_the_tests_and_goes_on_with_the_reactor():
    clock = Clock()
    result = run_job_async(Dated, None, reactor=clock, time=1_800_000_000.25)
    clock.advance(60)
    assert result.result.follow_ups == [FollowUp("example", "seen", [1_800_000_000.25, 1_800_000_060.25], 0.1)]


def test_without_one_it_is_the_date_of_today():
    clock = Clock()
    before = time.time()
    result = run_job_async(Dated, None, reactor=clock)
    clock.advance(60)
    assert before <= result.result.follow_ups[0].payload[0] <= time.time()


def test_follow_ups_exist_only_if_the_job_is_acknowledged():
    assert run_job(Failing, "retry").outcome == Retry("busy", 3)
    assert run_job(Failing, "reject").outcome == DeadLetter("never")
    assert run_job(Failing, "other").outcome.reason == "KeyError: 'other'"
    assert run_job(Failing, "retry").follow_ups == []


def test_a_handler_that_waits_is_told_to_be_run_otherwise():
    with pytest.raises(AssertionError, match="test it with run_job_async"):
        run_job(Waiting, None)
    assert Waiting.cancelled


def test_a_handler_that_waits_can_run_into_its_timeout():
    clock = Clock()
    result = run_job_async(Waiting, None, reactor=clock)
    clock.advance(600)
    assert result.result.outcome == Retry("ran longer than its timeout of 600 s")


def test_a_handler_that_fails_to_close_fails_the_test():
    with pytest.raises(OSError, match="disk"):
        run_job(Unclosable, None)


def test_a_job_must_bear_names_that_exist():
    with pytest.raises(BadName):
        run_job(Curious, None, queue="no/queue")
