"""PostgreSQL and MariaDB when their server is killed, away, read-only, full, or cuts its connections."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pymysql
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

from snqd.core.errors import SchemaTooNew, StoreUnavailable
from snqd.core.names import check_id
from snqd.stores.interface import Pauses, Want
from snqd.stores.sql.blocking import SqlQueue
from snqd.stores.sql.claim import FairClaim
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.server import SqlServer
from tests.contract.conftest import MariaDbBench, PostgresqlBench, SqlBench
from tests.servers.database_server import free_port

KILL_EVERY = 0.05
PATIENCE = 60.0


@pytest.fixture(params=[PostgresqlBench, MariaDbBench], ids=lambda kind: kind.kind)
def kind(request: pytest.FixtureRequest) -> Any:
    """Each kind of server in turn."""
    return request.param


@pytest_twisted.async_yield_fixture
async def bench(kind: Any, tmp_path: Path) -> AsyncIterator[SqlBench]:
    """A database on it."""
    made = kind(tmp_path)
    made.disks = []
    yield made
    if made.server.process.poll() is not None:
        made.server.start()
    await made.close_all()
    for disk in made.disks:
        disk.remove()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is true."""
    for _ in range(int(PATIENCE / 0.05)):
        if await condition():
            return
        await deferLater(reactor, 0.05)
    pytest.fail("that takes too long")


async def ignoring_failures(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a queue manager does: ask again while the store is away."""
    for _ in range(int(PATIENCE / 0.05)):
        try:
            return await ask()
        except StoreUnavailable:
            await deferLater(reactor, 0.05)
    pytest.fail("the store does not come back")


# The server dies


@ensureDeferred
async def test_a_killed_server_loses_no_job_that_waits_is_in_hand_or_is_being_settled(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    jobs = bench.jobs(30)
    await one.enqueue(*jobs)
    acked, retried, kept = [await one.claim(5) for _ in range(3)]
    await two.enqueue(bench.job(queue="flush"))  # a claim of the last moment may be undone by a crash
    bench.server.kill()
    follow_ups = [bench.job(queue="later")]
    settled = [one.store.ack(each.receipt, follow_ups if each is acked[0] else []) for each in acked]
    settled += [one.store.retry(each.receipt, 0.0, "busy") for each in retried]
    with pytest.raises(StoreUnavailable):
        await one.store.claim({"q": Want(1)})
    with pytest.raises(StoreUnavailable):
        await two.enqueue(bench.job())
    assert not any(each.called for each in settled)
    bench.server.start()
    assert await gatherResults(settled) == [True] * 10
    assert await one.store.ack(kept[0].receipt) is True
    left = await ignoring_failures(lambda: drained(two))
    assert sorted(left) == sorted(job.id for job in [*jobs[5:10], *jobs[15:]])
    assert len(await two.claim(queue="later")) == 1


async def drained(process: Any) -> list[str]:
    """All that comes until nothing is delayed any more."""
    done: list[str] = []
    while True:
        done += await process.drain()
        claim = await process.store.claim({"q": Want(1)})
        if claim.next_due is None and not claim.jobs:
            return done
        for each in claim.jobs:
            done.append(each.job.id)
            await process.store.ack(each.receipt)
        await deferLater(reactor, claim.next_due or 0.0)


@ensureDeferred
async def test_a_store_that_is_opened_while_its_server_is_away_waits_for_it(bench: Any) -> None:
    bench.server.stop()
    opening = Deferred.fromCoroutine(bench.process())
    await deferLater(reactor, 0.3)  # it is to have failed at least once
    assert not opening.called
    bench.server.start()
    one = await opening
    await one.enqueue(bench.job())
    assert len(await one.claim()) == 1


@ensureDeferred
async def test_wake_ups_come_back_with_the_server(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    bench.server.kill()
    bench.server.start()
    await ignoring_failures(lambda: one.store.claim({"q": Want(1)}))
    woken = one.woken()
    await ignoring_failures(lambda: two.enqueue(bench.job()))
    await woken
    assert len(await one.claim()) == 1


# Connections are cut


def cut(bench: Any) -> None:
    """End all connections to the bench's database, whatever they are doing."""
    if bench.kind == "postgresql":
        bench.server.say(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{bench.database}'")
        return
    for (number,) in bench.server.say(f"SELECT id FROM information_schema.processlist WHERE db = '{bench.database}'"):
        with contextlib.suppress(pymysql.err.OperationalError):  # it is gone already
            bench.server.say(f"KILL CONNECTION {number}")


@ensureDeferred
async def test_connections_cut_at_any_moment_lose_and_repeat_nothing(bench: Any) -> None:
    one, two = await bench.process(), await bench.process()
    random = Random(5)
    accepted: list[str] = []
    done: list[str] = []

    async def feed() -> None:
        for _ in range(150):
            jobs = bench.jobs(random.randint(1, 5))
            try:
                await two.enqueue(*jobs)
            except StoreUnavailable:
                await deferLater(reactor, 0.02)
            else:
                accepted.extend(job.id for job in jobs)

    async def work() -> None:
        while not (fed.called and len(done) >= len(accepted)):
            claim = await ignoring_failures(lambda: one.store.claim({"q": Want(20)}))
            answers = await gatherResults([one.store.ack(each.receipt) for each in claim.jobs])
            assert all(answers)
            done.extend(each.job.id for each in claim.jobs)
            await deferLater(reactor, 0.002)

    cutting = LoopingCall(lambda: deferToThread(cut, bench))
    cut_off = cutting.start(KILL_EVERY, now=False)
    fed = Deferred.fromCoroutine(feed())
    worked = Deferred.fromCoroutine(work()).addTimeout(3 * PATIENCE, reactor)
    await fed
    cutting.stop()
    await cut_off
    await worked
    assert len(done) == len(set(done))
    assert set(accepted) <= set(done)
    assert await ignoring_failures(one.store.depths) == []


# The server refuses


def read_only(bench: Any, yes: bool) -> None:
    """Make the server take no writes of snqd's connections, old and new; or again."""
    if bench.kind == "postgresql":
        bench.server.say(
            f"ALTER DATABASE {bench.database} SET default_transaction_read_only = {'on' if yes else 'off'}"
        )
        cut(bench)
    else:
        bench.server.say(f"SET GLOBAL read_only = {int(yes)}")


@ensureDeferred
async def test_a_read_only_server_is_waited_for_and_nothing_is_lost(bench: Any) -> None:
    if bench.kind == "mariadb":  # root may write all the same
        bench.server.say("CREATE USER IF NOT EXISTS plain@localhost")
        bench.server.say(f"GRANT ALL ON {bench.database}.* TO plain@localhost")
        bench.url = bench.url.replace("root@127.0.0.1", "plain@127.0.0.1")
    one = await bench.process()
    await one.enqueue(*bench.jobs(2))
    first, _ = await one.claim()
    read_only(bench, True)
    try:
        settled = one.store.ack(first.receipt)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await one.enqueue(bench.job())
        assert not settled.called
    finally:
        read_only(bench, False)
    assert await settled is True
    await ignoring_failures(lambda: one.enqueue(bench.job()))


@ensureDeferred
async def test_a_full_disk_is_waited_for_and_nothing_is_lost(bench: Any, small_disk: SmallDisk) -> None:
    one = await bench.process()
    await one.enqueue(*bench.jobs(2))
    first, second = await one.claim()
    body = os.urandom(100_000)
    told = "disk is full" if bench.kind == "postgresql" else None  # MariaDB ends itself
    with pytest.raises(StoreUnavailable, match=told):
        for _ in range(300):
            await one.enqueue(bench.job(body=body))
    settled = one.store.ack(first.receipt, [bench.job(body=body) for _ in range(300)])
    with pytest.raises(StoreUnavailable, match=told):
        await one.enqueue(*[bench.job(body=body) for _ in range(300)])
    assert not settled.called
    small_disk.grow()
    if bench.server.process.poll() is not None:
        bench.server.start()
    assert await settled is True
    assert await one.store.ack(second.receipt) is True


class SmallDisk:
    """A file system of 16 MiB, on which a database lies that is still empty."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self.folder = bench.server.folder / "data" / bench.database
        self.folder.mkdir(exist_ok=True)
        user = f"uid={bench.server.user},gid={bench.server.user}" if os.geteuid() == 0 else ""
        self._mount("-t", "tmpfs", "-o", f"size=16m,mode=0700,{user}", "snqd-test")
        if bench.kind == "postgresql":
            bench.server.say(f"CREATE TABLESPACE {bench.database} LOCATION '{self.folder}'")
            bench.server.say(f"ALTER DATABASE {bench.database} SET TABLESPACE {bench.database}")

    def grow(self) -> None:
        self._mount("-o", "remount,size=500m")

    def remove(self) -> None:
        server, database = self._bench.server, self._bench.database
        if self._bench.kind == "postgresql":
            server.say(f"DROP DATABASE {database}")
        else:
            for (table,) in server.say("SHOW TABLES", database):
                server.say(f"DROP TABLE {table}", database)
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, *options: str) -> None:
        mounted = subprocess.run(["mount", *options, str(self.folder)], capture_output=True, text=True, check=False)
        if mounted.returncode:
            problem = f"can't mount a file system here: {mounted.stderr.strip()}"
            if os.environ.get("CI"):
                pytest.fail(problem)
            pytest.skip(problem)


@pytest.fixture
def small_disk(bench: Any) -> SmallDisk:
    """What the bench's database lies on."""
    disk = SmallDisk(bench)
    bench.disks.append(disk)
    return disk


# Schema


@ensureDeferred
async def test_processes_that_make_the_schema_at_once_do_not_get_in_each_others_way(bench: Any, child: Any) -> None:
    started = [child(*bench.where, f"child-{n}", 600) for n in range(4)]
    for each in started:
        assert await each.line(0) == "open"
    one = await bench.process()
    await one.enqueue(bench.job())
    started[0].say("claim 1")
    assert len(json.loads(await started[0].line(1))) == 1


def test_a_schema_is_brought_up_to_date_step_by_step_and_a_newer_one_is_refused(tmp_path: Path, kind: Any) -> None:
    bench = kind(tmp_path)
    done: list[int] = []
    steps = [lambda connection, step=step: done.append(step) for step in (1, 2, 3)]
    SqlServer(bench.url, "steps", steps[:1]).run(lambda connection: None)
    assert done == [1]
    SqlServer(bench.url, "steps", steps).run(lambda connection: None)
    assert done == [1, 2, 3]
    with pytest.raises(SchemaTooNew, match="schema version 3 of the steps, this snqd knows 2"):
        SqlServer(bench.url, "steps", steps[:2]).run(lambda connection: None)


# What costs, and who is woken


@pytest.mark.parametrize("ordered", [False, True])
@ensureDeferred
async def test_a_claim_reads_no_more_however_many_jobs_wait(bench: Any, ordered: bool) -> None:
    one = await bench.process()
    read = []
    for number in (200, 20_000):
        await one.enqueue(*bench.jobs(number, "loud"), *(bench.job(f"site-{n}") for n in range(20)))
        read.append(await deferToThread(reads_of_a_claim, bench.url, ordered))
    assert 20 < read[1] <= read[0] + 200, read


def reads_of_a_claim(url: str, ordered: bool) -> int:
    """How many rows and index entries a claim reads, which is then taken back."""
    database = SqlDatabase(url)
    connection = database.server.connect()
    count = READS[database.server.postgresql]
    before = sum(int(row[-1]) for row in connection.exec_driver_sql(count))
    number = database.register(connection, "reader")
    FairClaim(database.statements).claim(connection, number, {"q": Want(10, ordered=ordered)})
    after = sum(int(row[-1]) for row in connection.exec_driver_sql(count))
    connection.rollback()
    connection.close()
    database.server.close()
    return after - before


READS = {
    True: "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_xact_user_tables",
    False: "SHOW SESSION STATUS LIKE 'Handler_read%%'",
}
"""What each kind of server counts, by whether it is PostgreSQL."""


@ensureDeferred
async def test_jobs_that_another_program_inserts_are_found(bench: Any) -> None:
    one = await bench.process()
    await one.claim()  # by which the store knows the queue
    woken = one.woken()
    bench.server.say("INSERT INTO snqd_job (site, queue, body) VALUES ('alpha', 'q', '{}')", bench.database)
    await woken
    (claimed,) = await one.claim()
    assert (claimed.job.attempt, claimed.job.encoding, claimed.job.body) == (1, "json", b"{}")
    assert claimed.job.created == pytest.approx(reactor.seconds(), abs=60)
    assert check_id(claimed.job.id)


@pytest.mark.parametrize(
    "row",
    ["'a/b', 'q', '{}', 1, 0", "'alpha', '', '{}', 1, 0", "'alpha', 'q', '{}', 0, 0", "'alpha', 'q', '{}', 1, 2"],
)
@ensureDeferred
async def test_rows_that_could_not_be_handed_out_are_refused_where_they_are_inserted(bench: Any, row: str) -> None:
    await bench.process()
    with pytest.raises(Exception, match=r"(?i)constraint"):
        bench.server.say(f"INSERT INTO snqd_job (site, queue, body, attempt, state) VALUES ({row})", bench.database)


@ensureDeferred
async def test_postgresql_notifies_only_when_a_queue_was_empty(tmp_path: Path) -> None:
    bench = PostgresqlBench(tmp_path)
    one = await bench.process()
    with psycopg.connect(bench.url.replace("+psycopg", ""), autocommit=True) as listener:
        listener.execute("LISTEN snqd")
        for _ in range(20):
            await one.enqueue(bench.job())
        for _ in range(20):
            await one.enqueue(bench.job(queue="other"))
        await one.drain()
        await one.enqueue(bench.job())
        await one.store.depths()  # behind the notifications in the same pool
        heard = list(listener.notifies(timeout=1, stop_after=None))
    await bench.close_all()
    assert len(heard) == 3


@ensureDeferred
async def test_a_second_host_takes_over(tmp_path: Path) -> None:
    bench = PostgresqlBench(tmp_path)
    dead = f"127.0.0.1:{free_port()}"
    alive = f"127.0.0.1:{bench.server.port}"
    bench.url = f"postgresql+psycopg://snqd@/{bench.database}?host={dead}&host={alive}&target_session_attrs=read-write"
    one, two = await bench.process(), await bench.process()
    woken = two.woken()
    await one.enqueue(bench.job())
    await woken
    await bench.close_all()


# Programs that only enqueue


@ensureDeferred
async def test_a_program_without_a_reactor_enqueues_pauses_and_looks(bench: Any) -> None:
    one = await bench.process()
    queue = SqlQueue(bench.url, bench.folder)
    woken = one.woken()
    await deferToThread(queue.enqueue, [bench.job(), bench.job(queue="r")])
    await woken
    woken = one.woken()
    await deferToThread(queue.pause, "r", None, True)
    await woken
    assert await deferToThread(queue.pauses) == await one.store.pauses() == Pauses(queues=frozenset({"r"}))
    assert {depth.queue: depth.waiting for depth in await deferToThread(queue.depths)} == {"q": 1, "r": 1}
    assert queue.exists()
    bench.server.kill()
    with pytest.raises(StoreUnavailable):
        await deferToThread(queue.enqueue, [bench.job()])
    bench.server.start()
    await deferToThread(queue.enqueue, [bench.job()])
    queue.close()
    assert len(await ignoring_failures(one.claim)) == 2
