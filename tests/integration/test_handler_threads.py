"""Blocking handlers in real threads."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from snqd.config.load import load
from snqd.config.settings import HandlerSettings
from snqd.config.sources import Sources
from snqd.core.job import Job
from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers import QueueHandler, Reject
from snqd.handlers.registry import HandlerRegistry
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.sites.registry import SiteRegistry

SNQ_INI = "/etc/snq.ini"
ALPHA = SiteRegistry(load(Sources(Path(SNQ_INI), {SNQ_INI: "[site:alpha]\n"}), plugins={})).get("alpha")


class Together(QueueHandler):
    """Returns once as many jobs as it has threads are in it."""

    def start(self):
        self.barrier = threading.Barrier(self.settings.threads, timeout=20)

    def handle(self, job):
        assert threading.current_thread() is not threading.main_thread()
        self.barrier.wait()
        job.enqueue("seen", job.payload)


class Rejecting(QueueHandler):
    def handle(self, job):
        raise Reject("never")


class Stuck(QueueHandler):
    def start(self):
        self.release = threading.Event()

    def handle(self, job):
        assert self.release.wait(20)


@pytest.fixture
def load_slot():
    registries = []

    def load_slot(handler_class, threads, timeout=30.0):
        target = f"{__name__}:{handler_class.__name__}"
        settings = HandlerSettings("blocking", target, timeout=timeout, threads=threads)
        registry = HandlerRegistry(reactor, {"blocking": settings})
        registries.append(registry)
        registry.load()
        load_slot.registry = registry
        site = SimpleNamespace(nickname="alpha", handler=lambda queue: settings)
        return registry.for_site(site, "blocking")

    yield load_slot
    pytest_twisted.blockon(gatherResults([registry.close() for registry in registries]))


def running_job():
    return RunningJob(Job("job-1", "alpha", "blocking", b"7"), ALPHA, JobContext(lambda site, queue: None, lambda: 0.0))


async def until(condition):
    """Wait for what nothing tells of."""
    for _ in range(500):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it never came true")


@pytest_twisted.ensureDeferred
async def test_blocking_jobs_run_side_by_side(load_slot):
    slot = load_slot(Together, threads=3)
    jobs = [running_job() for _ in range(3)]
    assert await gatherResults([slot.run(job) for job in jobs]) == [ACK] * 3
    assert [job.follow_ups[0].body for job in jobs] == [b"7"] * 3


@pytest_twisted.ensureDeferred
async def test_an_error_comes_back_from_its_thread(load_slot):
    assert await load_slot(Rejecting, threads=1).run(running_job()) == DeadLetter("never")


@pytest_twisted.ensureDeferred
async def test_a_stuck_thread_is_counted_and_holds_up_nobody_else(load_slot):
    slot = load_slot(Stuck, threads=1, timeout=0.2)
    first, second = slot.run(running_job()), slot.run(running_job())
    assert await first == Retry("ran longer than its timeout of 0.2 s")
    assert await second == Retry("waited 0.2 s for one of 1 threads, 1 of them stuck in other jobs")
    assert slot.stuck == 1
    await load_slot.registry.close()
    slot.handler.release.set()
    await until(lambda: slot.stuck == 0)
