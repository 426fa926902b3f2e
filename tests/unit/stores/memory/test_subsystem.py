"""The door to jobs in memory: all that it hands out works on the same jobs."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from snqd.core.job import Job
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.interface import IStore, Pauses, Want
from snqd.stores.memory.subsystem import MemorySubsystem
from snqd.stores.subsystem import ISubsystem, StoreContext


def store_on(subsystem: MemorySubsystem, clock: Clock, owner: str) -> Any:
    no_settings: Any = lambda: None  # noqa: E731
    return subsystem.store(StoreContext(clock, owner, lambda name: (), Random(), no_settings))


def test_it_provides_the_interfaces() -> None:
    subsystem = MemorySubsystem()
    assert verifyObject(ISubsystem, subsystem)
    assert verifyObject(IBlockingQueue, subsystem.blocking_queue())
    store = store_on(subsystem, Clock(), "one")
    assert verifyObject(IStore, store)
    assert store.promises == subsystem.promises


def test_jobs_and_pauses_of_the_blocking_queue_reach_every_store() -> None:
    subsystem, clock, wakes = MemorySubsystem(), Clock(), []
    stores = [store_on(subsystem, clock, name) for name in ("one", "two")]
    for store in stores:
        store.open(lambda: wakes.append(clock.seconds()))
    queue = subsystem.blocking_queue()
    queue.pause("q", None, True)
    queue.enqueue([Job("job-1", "alpha", "q", b"{}")])
    clock.advance(0)
    assert wakes == [0.0, 0.0]
    assert queue.pauses() == Pauses(queues=frozenset({"q"}))
    assert [(depth.queue, depth.waiting) for depth in queue.depths()] == [("q", 1)]
    assert stores[0].claim({"q": Want(1)}).result.jobs == []
    queue.pause("q", None, False)
    (claimed,) = stores[1].claim({"q": Want(1)}).result.jobs
    assert claimed.job.id == "job-1"
