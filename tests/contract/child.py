"""A process of its own on a queue, for tests that kill it, stop it, or let it race with others.

``child.py KIND WHERE PREFIX NAME LEASE`` opens a store, says ``open``, and then does what each line of its standard
input says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from snqd.config.redis_address import redis_address
from snqd.core.clocks import boot_time, make_steady
from snqd.core.job import Job
from snqd.stores.interface import Claimed, Want
from snqd.stores.redis.store import RedisStore
from snqd.stores.sql.store import SqlStore
from snqd.stores.sqlite.store import SqliteStore


def say(*words: object) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


class Commands(LineReceiver):
    delimiter = b"\n"

    def __init__(self, store: Any) -> None:
        self.store = store
        self.held: list[Claimed] = []

    def lineReceived(self, line: bytes) -> None:
        name, *arguments = line.decode().split()
        done = Deferred.fromCoroutine(getattr(self, name)(*arguments))
        done.addErrback(lambda failure: say("failed", failure.value))

    async def enqueue_and_die(self, count: str) -> None:
        """Enqueue jobs, all in flight at once, and be killed when the first half of them is accepted."""
        accepted = 0

        def one(_: Any, job_id: str) -> None:
            nonlocal accepted
            accepted += 1
            say(job_id)
            if accepted == int(count) // 2:
                os.kill(os.getpid(), signal.SIGKILL)

        for number in range(int(count)):
            job = Job(f"job-{number}", "alpha", "q", b"{}", created=time.time())
            self.store.enqueue([job]).addCallback(one, job.id)
            await self.store.pauses()  # so that they do not all go with one commit

    async def claim(self, room: str) -> None:
        claimed = (await self.store.claim({"q": Want(int(room))})).jobs
        self.held += claimed
        say(json.dumps([each.job.id for each in claimed]))

    async def ack(self) -> None:
        held, self.held = self.held, []
        answers = [await self.store.ack(each.receipt, [follow_up(each.job)]) for each in held]
        say(json.dumps(answers))

    async def own(self) -> None:
        """Say whether what is held may be begun now, and what the store says to that: own, or others'."""
        may_begin = [boot_time() < each.tenure.until for each in self.held]
        await self.store.renew()
        say(json.dumps([may_begin, [not each.tenure.ended for each in self.held]]))

    async def drain(self, room: str) -> None:
        """Claim and acknowledge until nothing is left, and say what it was."""
        done: list[str] = []
        while jobs := (await self.store.claim({"q": Want(int(room))})).jobs:
            for settled in [self.store.ack(each.receipt) for each in jobs]:
                assert await settled
            done += [each.job.id for each in jobs]
        say(json.dumps(done))

    async def close(self) -> None:
        await self.store.close()
        reactor.stop()


def follow_up(job: Job) -> Job:
    return Job(f"{job.id}.1", job.site, "later", b"{}", created=job.created)


def make(kind: str, where: str, prefix: str, name: str, lease: float) -> Any:
    """:param prefix: of the keys, or where the doorbells hang; nothing in an embedded queue."""
    if kind == "redis":
        address = redis_address(where)
        return RedisStore(reactor, address, prefix, name, lease=lease, suspects_of=lambda name: ())
    if kind in ("postgresql", "mariadb"):
        return SqlStore(reactor, where, Path(prefix), name, lease=lease, suspects_of=lambda name: ())
    return SqliteStore(reactor, Path(where), name, lease=lease, suspects_of=lambda name: ())


async def start(kind: str, where: str, prefix: str, name: str, lease: str) -> None:
    store = make(kind, where, prefix, name, float(lease))
    await store.open(lambda: None)
    StandardIO(Commands(store), reactor=reactor)
    say("open")


if __name__ == "__main__":
    make_steady(reactor)
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(start(*sys.argv[1:])))
    reactor.run()
