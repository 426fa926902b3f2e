"""PostgreSQL and MariaDB when their server is killed, away, read-only, full, or cuts its connections."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pymysql
import pytest
from pytest_twisted import ensureDeferred
from sqlalchemy.engine import make_url
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher

from snqd.core.errors import SchemaTooNew, StoreUnavailable, Unconfirmed
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.interface import Want
from snqd.stores.sql.claim_session import ClaimSession
from snqd.stores.sql.dialects import CommitLost
from snqd.stores.sql.prepared import PreparedStatement
from snqd.stores.sql.server import SqlServer
from tests.contract.bench import PostgresqlBench, ignoring_failures
from tests.patience import in_time
from tests.servers.postgresql import PostgresqlServer
from tests.servers.small_disk import SmallDisk

KILL_EVERY = 0.05
WORK = 180.0
"""Seconds on a quiet machine in which the work of a test is done, cuts and all."""


# The server dies


@ensureDeferred
async def test_a_killed_server_loses_no_job_that_waits_is_in_hand_or_is_being_settled(sql_bench: Any) -> None:
    one, two = await sql_bench.process(), await sql_bench.process()
    jobs = sql_bench.jobs(30)
    await one.enqueue(*jobs)
    acked, retried, kept = [await one.claim(5) for _ in range(3)]
    await two.enqueue(sql_bench.job(queue="flush"))  # a claim of the last moment may be undone by a crash
    sql_bench.server.kill()
    follow_ups = [sql_bench.job(queue="later")]
    settled = [one.store.ack(each.receipt, follow_ups if each is acked[0] else []) for each in acked]
    settled += [one.store.retry(each.receipt, 0.0, "busy") for each in retried]
    with pytest.raises(StoreUnavailable):
        await one.store.claim({"q": Want(1)})
    with pytest.raises(StoreUnavailable):
        await two.enqueue(sql_bench.job())
    assert all(each.store.trouble and sql_bench.database in each.store.trouble for each in (one, two))
    assert not any(each.called for each in settled)
    sql_bench.server.start()
    assert await gatherResults(settled) == [True] * 10
    assert await one.store.ack(kept[0].receipt) is True
    left = await ignoring_failures(lambda: drained(two))
    assert sorted(left) == sorted(job.id for job in [*jobs[5:10], *jobs[15:]])
    assert len(await two.claim(queue="later")) == 1
    assert two.store.trouble is None
    await until_well(one)


async def until_well(process: Any) -> None:
    """Until it has seen by itself that all is well."""
    while process.store.trouble is not None:
        await deferLater(reactor, 0.05)


@ensureDeferred
async def test_a_store_whose_server_is_away_has_trouble_though_nobody_asks_for_anything(sql_bench: Any) -> None:
    one = await sql_bench.process()
    await one.store.claim({"q": Want(1)})  # it looks for jobs of queues that it was asked for
    sql_bench.server.stop()
    while one.store.trouble is None:
        await deferLater(reactor, 0.05)
    sql_bench.server.start()
    await ignoring_failures(lambda: one.store.claim({"q": Want(1)}))
    assert one.store.trouble is None  # it does not wait for the next look, which that claim has put off


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
async def test_a_store_that_is_opened_while_its_server_is_away_waits_for_it(sql_bench: Any) -> None:
    sql_bench.server.stop()
    opening = Deferred.fromCoroutine(sql_bench.process())
    await deferLater(reactor, 0.3)  # it is to have failed at least once
    assert not opening.called
    sql_bench.server.start()
    one = await opening
    await one.enqueue(sql_bench.job())
    assert len(await one.claim()) == 1


@ensureDeferred
async def test_wake_ups_come_back_with_the_server(sql_bench: Any) -> None:
    one, two = await sql_bench.process(), await sql_bench.process()
    sql_bench.server.kill()
    sql_bench.server.start()
    await ignoring_failures(lambda: one.store.claim({"q": Want(1)}))
    woken = one.woken()
    await ignoring_failures(lambda: two.enqueue(sql_bench.job()))
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
async def test_connections_cut_at_any_moment_lose_and_repeat_nothing(sql_bench: Any) -> None:
    one, two = await sql_bench.process(), await sql_bench.process()
    random = Random(5)
    accepted: list[str] = []
    done: list[str] = []

    async def feed() -> None:
        for _ in range(150):
            jobs = sql_bench.jobs(random.randint(1, 5))
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

    cutting = LoopingCall(lambda: deferToThread(cut, sql_bench))
    cut_off = cutting.start(KILL_EVERY, now=False)
    fed = Deferred.fromCoroutine(feed())
    worked = in_time(Deferred.fromCoroutine(work()), WORK)
    await fed
    cutting.stop()
    await cut_off
    await worked
    assert len(done) == len(set(done))
    assert set(accepted) <= set(done)
    assert await ignoring_failures(one.store.depths) == []


def test_connections_that_are_cut_as_soon_as_they_are_made_are_a_server_that_is_away(
    sql_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_url(sql_bench.url).get_dialect()

    def cut_off(dialect: Any, connection: Any) -> None:
        raise driver.import_dbapi().OperationalError("cut")

    server = SqlServer(sql_bench.url, "queue", ())
    with monkeypatch.context() as patch:
        patch.setattr(driver, "do_ping", cut_off)
        with pytest.raises(StoreUnavailable, match="the server cut each connection"):
            server.run(lambda connection: None)
    assert server.run(lambda connection: "back") == "back"
    server.close()


@ensureDeferred
async def test_jobs_whose_commit_stays_in_doubt_are_named(sql_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(session: ClaimSession, actions: Any, durable: bool) -> None:
        raise CommitLost("cut")

    one = await sql_bench.process()
    with monkeypatch.context() as patch:
        patch.setattr(ClaimSession, "run", lose)
        with pytest.raises(Unconfirmed, match="cut") as told:
            await one.enqueue(*sql_bench.jobs(2))
    assert len(told.value.unknown) == 2


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
async def test_a_read_only_server_is_waited_for_and_nothing_is_lost(sql_bench: Any) -> None:
    if sql_bench.kind == "mariadb":  # root may write all the same
        sql_bench.server.say("CREATE USER IF NOT EXISTS plain@localhost")
        sql_bench.server.say(f"GRANT ALL ON {sql_bench.database}.* TO plain@localhost")
        sql_bench.url = sql_bench.url.replace("root@127.0.0.1", "plain@127.0.0.1")
    one = await sql_bench.process()
    await one.enqueue(*sql_bench.jobs(2))
    first, _ = await one.claim()
    read_only(sql_bench, True)
    try:
        settled = one.store.ack(first.receipt)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await one.enqueue(sql_bench.job())
        assert not settled.called
        assert "read-only" in one.store.trouble
    finally:
        read_only(sql_bench, False)
    assert await settled is True
    await until_well(one)
    await ignoring_failures(lambda: one.enqueue(sql_bench.job()))


@ensureDeferred
async def test_a_full_disk_is_waited_for_and_nothing_is_lost(sql_bench: Any, database_disk: DatabaseDisk) -> None:
    one = await sql_bench.process()
    await one.enqueue(*sql_bench.jobs(2))
    first, second = await one.claim()
    body = os.urandom(100_000)
    told = "disk is full" if sql_bench.kind == "postgresql" else None  # MariaDB ends itself
    with pytest.raises(StoreUnavailable, match=told):
        for _ in range(300):
            await one.enqueue(sql_bench.job(body=body))
    settled = one.store.ack(first.receipt, [sql_bench.job(body=body) for _ in range(300)])
    with pytest.raises(StoreUnavailable, match=told):
        await one.enqueue(*[sql_bench.job(body=body) for _ in range(300)])
    assert not settled.called
    database_disk.grow(500)
    if sql_bench.server.process.poll() is not None:
        sql_bench.server.start()
    assert await settled is True
    assert await one.store.ack(second.receipt) is True


class DatabaseDisk(SmallDisk):
    """One on which a database lies that is still empty."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        user = [f"uid={bench.server.user}", f"gid={bench.server.user}"] if os.geteuid() == 0 else []
        super().__init__(bench.server.folder / "data" / bench.database, 16, "mode=0700", *user)
        if bench.kind == "postgresql":
            bench.server.say(f"CREATE TABLESPACE {bench.database} LOCATION '{self.folder}'")
            bench.server.say(f"ALTER DATABASE {bench.database} SET TABLESPACE {bench.database}")

    def remove(self) -> None:
        server, database = self._bench.server, self._bench.database
        if self._bench.kind == "postgresql":
            server.say(f"DROP DATABASE {database}")
        else:
            for (table,) in server.say("SHOW TABLES", database):
                server.say(f"DROP TABLE {table}", database)
        super().remove()


@pytest.fixture
def database_disk(sql_bench: Any) -> DatabaseDisk:
    """What the sql_bench's database lies on."""
    disk = DatabaseDisk(sql_bench)
    sql_bench.disks.append(disk)
    return disk


@ensureDeferred
async def test_jobs_of_a_claim_whose_answer_is_lost_are_claimed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = PostgresqlBench(tmp_path)
    one = await bench.process()
    await one.enqueue(*bench.jobs(3))
    (held,) = await one.claim(1)

    ask = PreparedStatement.ask
    lost: list[Any] = []

    def cut_behind(asked: PreparedStatement, connection: Any, arguments: Any) -> Deferred[Any]:
        monkeypatch.undo()

        def lose(rows: Any) -> None:
            lost.append(rows)
            raise ConnectionLost("cut")

        return ask(asked, connection, arguments).addCallback(lose)

    monkeypatch.setattr(PreparedStatement, "ask", cut_behind)
    (second,) = await one.claim(1)
    assert len(lost) == 1
    (third,) = await one.claim(1)
    assert await one.claim(1) == []
    assert [await one.store.ack(each.receipt) for each in (held, second, third)] == [True] * 3
    assert await one.store.depths() == []
    await bench.close_all()


@ensureDeferred
async def test_work_goes_on_at_a_standby_that_is_promoted(tmp_path: Path) -> None:
    bench = PostgresqlBench(tmp_path)
    bench.server = primary = PostgresqlServer()
    primary.make()
    primary.start()
    standby = PostgresqlServer()
    standby.copy(primary)
    standby.start()
    hosts = f"host=127.0.0.1:{primary.port}&host=127.0.0.1:{standby.port}&target_session_attrs=read-write"
    bench.url = f"postgresql+psycopg://snqd@/{primary.database()}?{hosts}"
    try:
        one = await bench.process()
        await one.enqueue(*bench.jobs(2))
        (held,) = await one.claim(1)
        ((claimed,),) = primary.say("SELECT pg_current_wal_insert_lsn()")  # a claim does not wait for the disk
        while primary.say(f"SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= '{claimed}'") == []:
            await deferLater(reactor, 0.05)
        primary.kill()
        settled = one.store.ack(held.receipt)
        standby.say("SELECT pg_promote()")
        assert await settled is True
        (other,) = await ignoring_failures(lambda: one.claim(10))
        assert await one.store.ack(other.receipt) is True
        await bench.close_all()
    finally:
        primary.discard()
        standby.discard()


# Schema


@ensureDeferred
async def test_processes_that_make_the_schema_at_once_do_not_get_in_each_others_way(sql_bench: Any, child: Any) -> None:
    started = [child(*sql_bench.where, f"child-{n}", 600) for n in range(4)]
    for each in started:
        assert await each.line(0) == "open"
    one = await sql_bench.process()
    await one.enqueue(sql_bench.job())
    started[0].say("claim 1")
    assert len(json.loads(await started[0].line(1))) == 1


def test_a_schema_is_brought_up_to_date_step_by_step_and_a_newer_one_is_refused(tmp_path: Path, sql_kind: Any) -> None:
    bench = sql_kind(tmp_path)
    done: list[int] = []
    steps = [lambda connection, step=step: done.append(step) for step in (1, 2, 3)]
    SqlServer(bench.url, "steps", steps[:1]).run(lambda connection: None)
    assert done == [1]
    SqlServer(bench.url, "steps", steps).run(lambda connection: None)
    assert done == [1, 2, 3]
    with pytest.raises(SchemaTooNew, match="schema version 3 of the steps, this snqd knows 2"):
        SqlServer(bench.url, "steps", steps[:2]).run(lambda connection: None)


# What the operator must mend


@ensureDeferred
async def test_a_login_that_is_refused_ends_the_opening(sql_bench: Any) -> None:
    missing = sql_bench.url.replace(sql_bench.database, "no_such_database")
    sql_bench.url = missing
    with pytest.raises(StoreUnavailable, match="no_such_database"):
        await sql_bench.process()


@ensureDeferred
async def test_a_server_that_does_not_wait_for_its_disk_is_complained_of(sql_bench: Any) -> None:
    sql_bench.server.stop()
    unsafe = ["-c", "fsync=off"] if sql_bench.kind == "postgresql" else ["--innodb-flush-log-at-trx-commit=0"]
    sql_bench.server.start(*unsafe)
    lines: list[str] = []
    observer = lambda event: lines.append(formatEvent(event))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    try:
        await sql_bench.process()
    finally:
        globalLogPublisher.removeObserver(observer)
        await sql_bench.close_all()
        sql_bench.server.stop()
        sql_bench.server.start()
    setting = "fsync is off" if sql_bench.kind == "postgresql" else "innodb_flush_log_at_trx_commit is 0"
    assert any("may lose accepted jobs" in line and setting in line for line in lines)
