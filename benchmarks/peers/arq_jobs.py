"""arq, polling as often as it does by default, results not kept, warnings logged only."""

from __future__ import annotations

import asyncio
import os

import arq
from arq.connections import ArqRedis, RedisSettings

from benchmarks.peers import work

AT_ONCE = 100
LOGGING = {"version": 1}
SETTINGS = RedisSettings.from_dsn(work.URL)
LOOP = asyncio.new_event_loop()
POOL: list[ArqRedis] = []


async def noop(_: object, argument: object) -> None:
    """Nothing."""
    work.noop()


async def wait(_: object, seconds: float) -> None:
    """Waits without a thread."""
    await asyncio.sleep(seconds)
    work.noop()


async def stamp(_: object, sent: float) -> None:
    """Notes how long it has waited."""
    work.stamp(sent)


class Worker:
    """For arq's own command."""

    functions = [noop, wait, stamp]
    redis_settings = SETTINGS
    max_jobs = int(os.environ.get("SNQD_BENCHMARK_AT_ONCE", 10))
    keep_result = 0


def send(task: str, argument: object) -> None:
    """One job."""
    LOOP.run_until_complete(_send(task, argument, 1))


def fill(task: str, argument: object, number: int) -> None:
    """Many calls in flight."""
    for left in range(number, 0, -AT_ONCE):
        LOOP.run_until_complete(_send(task, argument, min(AT_ONCE, left)))


async def _send(task: str, argument: object, number: int) -> None:
    if not POOL:
        POOL.append(await arq.create_pool(SETTINGS))
    await asyncio.gather(*(POOL[0].enqueue_job(task, argument) for _ in range(number)))
