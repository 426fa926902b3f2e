"""A Redis whose append-only file was torn inside a script loses no job, not even at the start after the next one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_twisted import ensureDeferred

from snqd.config.redis_address import redis_address
from snqd.core.job import Job
from snqd.stores.redis import scripts
from snqd.stores.redis.blocking import RedisQueue
from snqd.stores.redis.codec import encode, read_claim
from snqd.stores.redis.pending_settlement import ack, give_back, retry, settle_words
from snqd.stores.redis.scripts import Script
from tests.integration.redis_places import Places
from tests.integration.test_redis_failures import PREFIX, Farm
from tests.servers.redis import RedisServer

FULL = bool(os.environ.get("SNQD_FULL"))
OLD = [Job(f"old-{n}", f"site-{n % 2}", "q", b"{}") for n in range(8)]


class Before:
    """The process that had jobs in hand when Redis was killed, and is not there any more."""

    def __init__(self, server: RedisServer) -> None:
        self.client = redis.Redis(port=server.port, protocol=2)
        self.queue = RedisQueue(redis_address(server.url), PREFIX)
        self.numbers = count(1)
        self.epoch = self.run(scripts.REGISTER, "before", 1, "[]")

    def run(self, script: Script, *words: Any) -> Any:
        return self.client.eval(script.text, 1, PREFIX, *words)

    def claim(self, room: int) -> list[Any]:
        words = {"name": "before", "epoch": self.epoch, "session": 1, "wants": [["q", room, False, "", {}, 8]]}
        return read_claim(self.run(scripts.CLAIM, json.dumps(words)), self.epoch).claim.jobs

    def settle(self, *settlements: Any) -> None:
        self.run(scripts.SETTLE, "before", "before:settle", next(self.numbers), *settle_words(settlements))


# What the last script of a Redis is; each answers with the jobs that stay delayed.


def claims(before: Before) -> set[str]:
    before.claim(4)
    return set()


def settles(before: Before) -> set[str]:
    first, second, third, _ = before.claim(4)
    head, record = encode(Job("torn", "site-0", "q", b"{}"))
    before.settle(ack(first.receipt, [head], [record]), retry(second.receipt, 0.0, "", True), give_back(third.receipt))
    return set()


def adds(before: Before) -> set[str]:
    before.queue.enqueue([Job(f"torn-{n}", f"site-{n % 2}", "q", b"{}") for n in range(3)])
    return set()


def promotes(before: Before) -> set[str]:
    jobs = before.claim(4)  # two of each site, one after the other
    before.settle(*[retry(each.receipt, 0.0, "", True) for each in jobs[::2]])
    before.settle(*[retry(each.receipt, 900.0, "", True) for each in jobs[1::2]])
    before.claim(0)
    return {each.job.id for each in jobs[1::2]}


class TornFile:
    """The files of a Redis that was killed, whose last bytes are one script's."""

    def __init__(self, folder: Path, last: Callable[[Before], set[str]]) -> None:
        server = RedisServer(folder)
        server.start()
        before = Before(server)
        before.queue.enqueue(OLD)
        self.delayed = last(before)
        server.kill()
        self._files = folder / "appendonlydir"
        self._name = max(self._files.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[2])).name
        self._bytes = (self._files / self._name).read_bytes()
        self._ends = ends_of_commands(self._bytes, self._bytes.rindex(b"*1\r\n$5\r\nMULTI\r\n"))

    def cuts(self) -> list[int]:
        """In the middle of each second command behind MULTI; with SNQD_FULL=1 of each, and between them too."""
        middles = [(start + end) // 2 for start, end in zip(self._ends, self._ends[1:], strict=False)]
        return [*middles, *self._ends[1:-1]] if FULL else middles[::-2]

    def cut(self, folder: Path, length: int) -> RedisServer:
        """A Redis with these files, of which only so many bytes reached the disk."""
        shutil.copytree(self._files, folder / "appendonlydir")
        os.truncate(folder / "appendonlydir" / self._name, length)
        return RedisServer(folder)


def ends_of_commands(data: bytes, at: int) -> list[int]:
    """Where the commands end that begin at `at`."""
    ends = []
    while at < len(data):
        line, number = data.index(b"\r\n", at) + 2, int(data[at + 1 : data.index(b"\r\n", at)])
        for _ in range(number):
            size, line = int(data[line + 1 : data.index(b"\r\n", line)]), data.index(b"\r\n", line) + 2
            line += size + 2
        at = line
        ends.append(at)
    return ends


@pytest.mark.parametrize("last", [claims, settles, adds, promotes])
@ensureDeferred
async def test_what_a_torn_script_had_begun_never_happens(tmp_path: Path, last: Callable[[Before], set[str]]) -> None:
    torn = TornFile(tmp_path / "torn", last)
    for length in torn.cuts():
        server = torn.cut(tmp_path / str(length), length)
        server.start()
        farm = Farm()
        try:
            await work_between_two_kills(server, farm, torn.delayed)
        finally:
            for process in farm.open:
                await process.store.close()
            server.stop()


async def work_between_two_kills(server: RedisServer, farm: Farm, delayed: set[str]) -> None:
    one = await farm.process(server.url, "one")
    await one.store.recover("before", (), "")
    await one.enqueue(Job("new", "site-0", "q", b"{}"))
    done, *held = await one.claim(4)
    assert await one.store.ack(done.receipt)
    server.kill()
    server.start_again()
    assert Places(server.port, PREFIX).wrong() == []
    for each in held:
        assert await one.store.ack(each.receipt)
    handled = [each.job.id for each in (done, *held)] + await one.drain()
    assert sorted(handled) == sorted({"new", *[each.id for each in OLD]} - delayed)
    assert sum(each.delayed for each in await one.store.depths()) == len(delayed)


def test_a_program_without_a_reactor_may_be_the_first_to_write(tmp_path: Path) -> None:
    torn = TornFile(tmp_path / "torn", adds)
    server = torn.cut(tmp_path / "cut", torn.cuts()[0])  # in the middle of EXEC
    server.start()
    try:
        queue = RedisQueue(redis_address(server.url), PREFIX)
        queue.enqueue([Job("new", "site-0", "q", b"{}")])
        server.kill()
        server.start_again()
        places = Places(server.port, PREFIX)
        assert places.wrong() == []
        assert set(places.ids.values()) == {"new", *[each.id for each in OLD]}
    finally:
        server.stop()
