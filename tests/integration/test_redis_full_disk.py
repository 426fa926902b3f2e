"""The Redis store when the disk under Redis is full, in both ways in which Redis takes that."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from tests.integration.test_redis_failures import Farm, farm
from tests.servers.redis import SAFE, RedisServer
from tests.servers.small_disk import SmallDisk

__all__ = ["farm"]
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
BODY = os.urandom(200_000).hex().encode()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "small", 4)
    yield made
    made.remove()


@pytest.fixture(params=[EVERYSEC, SAFE], ids=["everysec", "always"])
def server(request: pytest.FixtureRequest, disk: SmallDisk) -> Iterator[RedisServer]:
    made = RedisServer(disk.folder, *request.param, "--auto-aof-rewrite-percentage", "0", "--logfile", "")
    made.start()
    yield made
    made.stop()


def job(number: int, body: bytes = b"{}", queue: str = "q") -> Job:
    return Job(f"job-{number}", "alpha", queue, body, created=time.time())


@ensureDeferred
async def test_a_full_disk_refuses_jobs_keeps_what_was_accepted_and_is_waited_for(
    server: RedisServer, disk: SmallDisk, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Redis refuses while it can't write; where it fsyncs always it ends itself, and nobody answers.
    monkeypatch.setattr("snqd.stores.redis.store.PATIENCE", 1.0)
    one = await farm.process(server.url, "one")
    await one.enqueue(job(0), job(1))
    first, second = await one.claim()
    accepted = []
    told = "can't write to its disk" if "everysec" in server.options else "not known: 1 "
    with pytest.raises(StoreUnavailable, match=told):
        for number in range(2, 100):
            await one.enqueue(job(number, BODY))
            accepted.append(f"job-{number}")
    settled = one.store.ack(first.receipt, [job(200, queue="later")])
    with pytest.raises(StoreUnavailable):
        await one.enqueue(job(201))
    assert not settled.called
    disk.grow(100)
    assert server.process is not None
    if server.process.poll() is not None:
        server.start()
    assert await settled is True
    assert await one.store.ack(second.receipt) is True
    assert set(await one.drain()) >= set(accepted)
    assert len(await one.claim(queue="later")) == 1
