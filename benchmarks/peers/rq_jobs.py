"""RQ with its usual worker, which forks for each job; results not kept."""

from __future__ import annotations

from redis import Redis
from rq import Queue

from benchmarks.peers import work

QUEUE = Queue(work.NAME, connection=Redis.from_url(work.URL))


def send(task: str, argument: object) -> None:
    """One job."""
    QUEUE.enqueue(getattr(work, task), argument, result_ttl=0)


def fill(task: str, argument: object, number: int) -> None:
    """One by one."""
    for _ in range(number):
        send(task, argument)
