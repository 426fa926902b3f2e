"""What the contract suite runs on: a queue of each kind, and stores on it that stand for as many processes."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from snqd.config.redis_address import redis_address
from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.stores.interface import Claimed, Want
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.memory.store import MemoryStore
from snqd.stores.redis.names import prefix_of
from snqd.stores.redis.store import RedisStore
from snqd.stores.sql.store import SqlStore
from snqd.stores.sqlite.store import SqliteStore
from tests.patience import UNTIL, Deadline, in_time
from tests.servers.database_server import DatabaseServer
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.redis import running_redis

FOREVER = 600.0
"""Seconds of a lease that does not run out in a test."""


@attrs.define(eq=False)
class Process:
    """An open store, with what its process would know."""

    store: Any
    name: str
    wakes: int = 0
    _waiting: list[Deferred[None]] = attrs.field(factory=list)

    def wake(self) -> None:
        self.wakes += 1
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)

    def woken(self) -> Deferred[None]:
        """Fires at the next wake."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        return in_time(done)

    async def enqueue(self, *jobs: Job) -> None:
        await self.store.enqueue(jobs)

    async def claim(self, room: int = 10, queue: str = "q", **want: Any) -> list[Claimed]:
        return (await self.store.claim({queue: Want(room, **want)})).jobs

    async def claim_solo(self, *queues: str) -> list[Claimed]:
        return (await self.store.claim_solo(queues or ("q",))).jobs

    async def claim_when_due(self, queue: str = "q") -> list[Claimed]:
        """What a queue manager does while delayed jobs wait."""
        while True:
            claim = await self.store.claim({queue: Want(10)})
            if claim.jobs or claim.next_due is None:
                return claim.jobs
            await deferLater(reactor, claim.next_due)

    async def drain(self, queue: str = "q") -> list[str]:
        """Claim and acknowledge all that is ready; returns the ids in the order of the claims."""
        ids = []
        while jobs := await self.claim(100, queue):
            ids += [claimed.job.id for claimed in jobs]
            for done in [self.store.ack(claimed.receipt) for claimed in jobs]:
                assert await done
        return ids


class Bench:
    """A queue of one kind, and the processes on it."""

    process_class: type[Process] = Process

    kind = ""
    store_class: Any

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "queue.db"
        self.open: list[Process] = []
        self._numbers = itertools.count(1)

    @classmethod
    def missing(cls) -> str:
        """Why it can't be tried here; empty if it can, or must, as in CI."""
        return ""

    @property
    def where(self) -> tuple[str, str, str]:
        """The first words of child.py that make it work on this queue."""
        return self.kind, str(self.path), ""

    def make(self, name: str, **options: Any) -> Any:
        """A store that is not open yet."""
        raise NotImplementedError

    async def process(self, name: str = "", **options: Any) -> Process:
        """One more process on the queue; with the name of an earlier one it is that one, started again."""
        name = name or f"process-{next(self._numbers)}"
        process = self.process_class(self.make(name, **options), name)
        await process.store.open(process.wake)
        self.open.append(process)
        return process

    async def close(self, process: Process) -> None:
        self.open.remove(process)
        await process.store.close()

    async def close_all(self) -> None:
        for process in list(self.open):
            await self.close(process)

    async def end(self) -> None:
        """Let every process end, and with it all that is in memory."""
        await self.close_all()

    def job(self, site: str = "alpha", queue: str = "q", **more: Any) -> Job:
        more.setdefault("id", f"job-{next(self._numbers)}")
        return Job(site=site, queue=queue, **{"body": b"{}", "created": reactor.seconds(), **more})

    def jobs(self, number: int, site: str = "alpha", queue: str = "q") -> list[Job]:
        return [self.job(site, queue) for _ in range(number)]


class MemoryBench(Bench):
    kind = "memory"
    store_class = MemoryStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._queue = MemoryQueue()

    def make(self, name: str, **options: Any) -> MemoryStore:
        return MemoryStore(reactor, name, self._queue)

    async def end(self) -> None:
        """See :meth:`Bench.end`."""
        await super().end()
        self._queue = MemoryQueue()


class SqliteBench(Bench):
    kind = "sqlite"
    store_class = SqliteStore

    def make(
        self, name: str, lease: float = 600.0, suspects_of: Callable[[str], Collection[str]] = lambda name: ()
    ) -> SqliteStore:
        return SqliteStore(reactor, self.path, name, lease=lease, suspects_of=suspects_of)


class SqlBench(Bench):
    """A database of its own on the server of this run."""

    server: DatabaseServer
    store_class = SqlStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.database = self.server.database()
        self.url = self.server.url(self.database)

    @property
    def where(self) -> tuple[str, str, str]:
        return self.kind, self.url, str(self.folder)

    def make(
        self, name: str, lease: float = 600.0, suspects_of: Callable[[str], Collection[str]] = lambda name: ()
    ) -> SqlStore:
        return SqlStore(reactor, self.url, self.folder, name, lease=lease, suspects_of=suspects_of)


class PostgresqlBench(SqlBench):
    kind = "postgresql"

    def __init__(self, folder: Path) -> None:
        self.server = postgresql()
        super().__init__(folder)


class MariaDbBench(SqlBench):
    kind = "mariadb"

    def __init__(self, folder: Path) -> None:
        self.server = mariadb()
        super().__init__(folder)


class RedisBench(Bench):
    kind = "redis"
    store_class = RedisStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = running_redis()
        self.address = redis_address(self.server.url)
        self.prefix = prefix_of(str(folder))  # the server is the same for all tests

    @property
    def where(self) -> tuple[str, str, str]:
        return self.kind, self.server.url, self.prefix

    def make(
        self, name: str, lease: float = 600.0, suspects_of: Callable[[str], Collection[str]] = lambda name: ()
    ) -> RedisStore:
        return RedisStore(reactor, self.address, self.prefix, name, lease=lease, suspects_of=suspects_of)


LOOKING = [MemoryBench, SqliteBench, RedisBench, PostgresqlBench, MariaDbBench]
"""Those that look for jobs themselves; to the others a broker pushes."""


def ids(claimed: list[Any]) -> list[str]:
    return [each.job.id for each in claimed]


def sites(claimed: list[Any]) -> list[str]:
    return [each.job.site for each in claimed]


def by_site(claimed: list[Any]) -> dict[str, int]:
    return {site: sites(claimed).count(site) for site in sites(claimed)}


async def suspects(bench: Any, *queues: str) -> None:
    """A process dies running one job of each queue."""
    dead, other = await bench.process(), await bench.process()
    jobs = [bench.job(queue=queue) for queue in queues]
    await dead.enqueue(*jobs)
    await dead.store.claim({queue: Want(10) for queue in queues})
    await other.store.recover(dead.name, [job.id for job in jobs], "killed")
    await bench.close(other)


async def ignoring_failures(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a queue manager does: ask again while the store is away."""
    deadline = Deadline(UNTIL)
    while not deadline.is_over():
        try:
            return await ask()
        except StoreUnavailable:
            await deferLater(reactor, 0.05)
    pytest.fail("the store does not come back")
