"""The walk through a store tells what is true."""

from try_store import one_job
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock


def test_one_jobs_way():
    told = []
    Deferred.fromCoroutine(one_job(Clock())).addCallback(told.extend)
    assert told == [
        "child one is woken",
        "it claims job-1, attempt 1",
        "now it gets 0 jobs, and the next is due in 30 s",
        "child one is woken",
        "it claims job-1, attempt 2, and dies before it starts",
        "child two frees 1 job",
        "it claims job-1, attempt 2",
        "the dead child's receipt counts: False",
        "its own receipt counts: True",
        "1 job waits, in queue notify",
    ]
