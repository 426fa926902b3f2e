"""What the contract suite runs on: a queue of each kind, and stores on it that stand for as many processes."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater

import snqd
from snqd.config.redis_address import redis_address
from snqd.core.errors import StoreUnavailable
from snqd.core.job import JSON, Job
from snqd.stomp.protocol import Login
from snqd.stores.interface import Claimed, Want
from snqd.stores.memory.queue import MemoryQueue
from snqd.stores.memory.store import MemoryStore
from snqd.stores.morgue.morgue import SqliteMorgue
from snqd.stores.morgue.writer import MorgueWriter
from snqd.stores.redis.names import prefix_of
from snqd.stores.redis.store import RedisStore
from snqd.stores.sql.store import SqlStore
from snqd.stores.sqlite.store import SqliteStore
from snqd.stores.stomp.brokers import Brokers, broker_of
from snqd.stores.stomp.shared_state import FileSharedState
from snqd.stores.stomp.store import StompStore
from snqd.stores.stomp.topology import Breakouts, Topology
from tests.contract.pushed import UNPROMISED, Gate, PatientStore
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.database_server import DatabaseServer
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import RedisServer

ROOT = Path(snqd.__file__).parents[1]
CHILD = Path(__file__).with_name("child.py")
_FARMS = itertools.count(1)
PATIENCE = 8.0
"""Seconds after which a condition that does not come true fails its test."""


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
        return done.addTimeout(PATIENCE, reactor)

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


class PushedProcess(Process):
    """A process that jobs are pushed to, once it has asked for some."""

    def woken(self) -> Deferred[None]:
        """Fires at the next wake."""
        woken = super().woken()
        Deferred.fromCoroutine(self.store.listens()).addErrback(woken.errback)
        return woken

    async def claim_when_due(self, queue: str = "q") -> list[Claimed]:
        """What a queue manager does, which is woken when a delayed job is due."""
        while not (claimed := await self.claim(10, queue)):
            await self.woken()
        return claimed


class Bench:
    """A queue of one kind, and the processes on it."""

    process_class: type[Process] = Process

    kind = ""
    unpromised: Mapping[str, str] = {}
    """Tests of clauses that this kind does not promise, and why."""

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

    def job(self, site: str = "alpha", queue: str = "q", **more: Any) -> Job:
        more.setdefault("id", f"job-{next(self._numbers)}")
        return Job(site=site, queue=queue, **{"body": b"{}", "created": reactor.seconds(), **more})

    def jobs(self, number: int, site: str = "alpha", queue: str = "q") -> list[Job]:
        return [self.job(site, queue) for _ in range(number)]


class BrokerBench(Bench):
    """A farm of its own on the broker of its kind that all tests share."""

    server: type[Broker]
    process_class = PushedProcess
    unpromised = UNPROMISED

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broker = running(self.server)
        self.groups: dict[str, str] = {}
        self.bad_items: list[tuple[str, str]] = []
        self.breakouts: Breakouts = {}
        self.unserved: set[str] = set()
        self.wire = JSON
        self.topology = Topology(
            f"/queue/{folder.name}.{next(_FARMS)}.",
            lambda queue: self.groups.get(queue, "main"),
            lambda: self.breakouts,
            lambda queue: queue not in self.unserved,
        )

    @classmethod
    def missing(cls) -> str:
        lacking = cls.server.missing()
        return f"needs {lacking}" if lacking and not os.environ.get("CI") else ""

    def make(self, name: str, **options: Any) -> PatientStore:
        broker = broker_of(reactor, f"127.0.0.1:{self.broker.port}")
        gate = Gate(broker.endpoint)
        login = Login(self.broker.username, self.broker.password)
        brokers = Brokers([attrs.evolve(broker, endpoint=gate)], broker, login, self.wire)
        notes = FileSharedState(self.folder / "morgue.db")
        morgue = MorgueWriter(reactor, SqliteMorgue(self.folder / "morgue.db"))
        bad_item = lambda *names: self.bad_items.append(names)  # noqa: E731
        store = StompStore(reactor, brokers, self.topology, name, notes, morgue, random.Random(), bad_item)
        return PatientStore(store, self, gate)


class RabbitMqBench(BrokerBench):
    kind = "rabbitmq"
    server = RabbitMq


class ActiveMqBench(BrokerBench):
    kind = "activemq"
    server = ActiveMq


class MemoryBench(Bench):
    kind = "memory"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._queue = MemoryQueue()

    def make(self, name: str, **options: Any) -> MemoryStore:
        return MemoryStore(reactor, name, self._queue)


class SqliteBench(Bench):
    kind = "sqlite"

    def make(
        self, name: str, lease: float = 600.0, suspects_of: Callable[[str], Collection[str]] = lambda name: ()
    ) -> SqliteStore:
        return SqliteStore(reactor, self.path, name, lease=lease, suspects_of=suspects_of)


class SqlBench(Bench):
    """A database of its own on the server of this run."""

    server: DatabaseServer

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

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = redis_server()
        self.address = redis_address(self.server.url)
        self.prefix = prefix_of(str(folder))  # the server is the same for all tests

    @property
    def where(self) -> tuple[str, str, str]:
        return self.kind, self.server.url, self.prefix

    def make(
        self, name: str, lease: float = 600.0, suspects_of: Callable[[str], Collection[str]] = lambda name: ()
    ) -> RedisStore:
        return RedisStore(reactor, self.address, self.prefix, name, lease=lease, suspects_of=suspects_of)


@functools.cache
def redis_server() -> RedisServer:
    """The one of this run; started by the first test that needs it."""
    folder = tempfile.TemporaryDirectory(prefix="snqd-redis-")
    server = RedisServer(Path(folder.name))
    server.start()
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server


LOOKING = [MemoryBench, SqliteBench, RedisBench, PostgresqlBench, MariaDbBench]
"""Those that look for jobs themselves; to the others a broker pushes."""
KINDS = [*LOOKING, RabbitMqBench, ActiveMqBench]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what a kind of queue declares not to promise, and on a laptop what needs a server that is not there."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        kind = params.get("bench") or params.get("broker_bench")
        if kind is not None:
            reason = kind.unpromised.get(item.originalname) or kind.missing()  # type: ignore[attr-defined]
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest_twisted.async_yield_fixture(params=KINDS, ids=lambda kind: kind.kind)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of queue in turn."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


@pytest_twisted.async_yield_fixture(params=LOOKING[1:], ids=lambda kind: kind.kind)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of queue that several processes share, in turn."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


@pytest.fixture(params=[PostgresqlBench, MariaDbBench], ids=lambda kind: kind.kind)
def sql_kind(request: pytest.FixtureRequest) -> Any:
    """Each kind of server in turn."""
    return request.param


@pytest_twisted.async_yield_fixture
async def sql_bench(sql_kind: Any, tmp_path: Path) -> AsyncIterator[SqlBench]:
    """A database on it."""
    made = sql_kind(tmp_path)
    made.disks = []
    yield made
    if made.server.process.poll() is not None:
        made.server.start()
    await made.close_all()
    for disk in made.disks:
        disk.remove()


@pytest_twisted.async_yield_fixture
async def sqlite_bench(tmp_path: Path) -> AsyncIterator[SqliteBench]:
    """The embedded queue, for what only it promises."""
    made = SqliteBench(tmp_path)
    yield made
    await made.close_all()


async def ignoring_failures(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a queue manager does: ask again while the store is away."""
    for _ in range(int(PATIENCE / 0.05)):
        try:
            return await ask()
        except StoreUnavailable:
            await deferLater(reactor, 0.05)
    pytest.fail("the store does not come back")


@pytest_twisted.async_yield_fixture(params=[RabbitMqBench, ActiveMqBench], ids=lambda kind: kind.kind)
async def broker_bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerBench]:
    """A farm on each kind of broker."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


class Child(ProcessProtocol):
    """A child process that runs child.py: its lines, and its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.errors = ""
        self._rest = b""
        self._waiting: list[Deferred[None]] = []
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [line.decode() for line in lines]
        self._tell()

    def errReceived(self, data: bytes) -> None:
        self.errors += data.decode(errors="replace")

    def processEnded(self, reason: Any) -> None:
        assert reason.check(ProcessDone, ProcessTerminated)
        self.ended.callback(-reason.value.signal if reason.value.signal else reason.value.exitCode)
        self._tell()

    def say(self, line: str) -> None:
        self.transport.write(line.encode() + b"\n")

    def signal(self, number: int) -> None:
        os.kill(self.transport.pid, number)

    async def line(self, number: int) -> str:
        """The child's line of that number, from 0, once it is there."""
        while len(self.lines) <= number:
            assert not self.ended.called, f"the child ended: {self.errors}"
            done: Deferred[None] = Deferred()
            self._waiting.append(done)
            await done.addTimeout(PATIENCE, reactor)
        return self.lines[number]

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts ``child.py ARGUMENT...``; kills at the end what still runs."""
    started: list[Child] = []

    def start(*arguments: object) -> Child:
        protocol = Child()
        argv = [sys.executable, str(CHILD), *map(str, arguments)]
        reactor.spawnProcess(protocol, sys.executable, argv, env={**os.environ, "PYTHONPATH": str(ROOT)})
        started.append(protocol)
        return protocol

    yield start
    for protocol in started:
        if not protocol.ended.called:
            protocol.signal(signal.SIGKILL)
            pytest_twisted.blockon(protocol.ended)
