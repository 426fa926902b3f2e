"""What claims on PostgreSQL and MariaDB cost, who is woken when, and programs that only enqueue."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pytest_twisted import ensureDeferred
from sqlalchemy import Connection
from twisted.internet.threads import deferToThread

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.core.names import check_id
from snqd.stores.interface import Pauses, Want
from snqd.stores.sql.blocking import SqlQueue
from snqd.stores.sql.claim import SqlFairClaim
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.prepared import NAME
from tests.contract.bench import PostgresqlBench, ignoring_failures
from tests.servers.database_server import free_port

# What costs, and who is woken


@pytest.mark.parametrize("ordered", [False, True])
@ensureDeferred
async def test_a_claim_reads_no_more_however_many_jobs_wait(sql_bench: Any, ordered: bool) -> None:
    one = await sql_bench.process()
    read = []

    def claim(database: SqlDatabase, connection: Connection) -> None:
        number = database.register(connection, "reader")
        SqlFairClaim(database.statements).claim(connection, number, {"q": Want(10, ordered=ordered)})

    for number in (200, 20_000):
        await one.enqueue(*sql_bench.jobs(number, "loud"), *(sql_bench.job(f"site-{n}") for n in range(20)))
        read.append(await deferToThread(reads_of, sql_bench.url, claim))
    assert 20 < read[1] <= read[0] + 200, read


@ensureDeferred
async def test_an_enqueue_reads_no_more_however_many_jobs_wait(sql_bench: Any) -> None:
    one = await sql_bench.process()
    read = []

    def enqueue(database: SqlDatabase, connection: Connection) -> None:
        database.statements.insert(connection, sql_bench.jobs(500), "")

    for number in (200, 5_000):
        await one.enqueue(*sql_bench.jobs(number))
        read.append(await deferToThread(reads_of, sql_bench.url, enqueue))
    assert read[1] <= read[0] + 20, read


def reads_of(url: str, action: Callable[[SqlDatabase, Connection], None]) -> int:
    """How many rows and index entries `action` reads, which is then taken back."""
    database = SqlDatabase(url)
    connection = database.server.connect()
    count = READS[database.server.postgresql]
    before = sum(int(row[-1]) for row in connection.exec_driver_sql(count))
    action(database, connection)
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
async def test_jobs_that_another_program_inserts_are_found(sql_bench: Any) -> None:
    one = await sql_bench.process()
    await one.claim()  # by which the store knows the queue
    woken = one.woken()
    sql_bench.server.say("INSERT INTO snqd_job (site, queue, body) VALUES ('alpha', 'q', '{}')", sql_bench.database)
    await woken
    (claimed,) = await one.claim()
    assert (claimed.job.attempt, claimed.job.encoding, claimed.job.body) == (1, "json", b"{}")
    assert claimed.job.created == pytest.approx(time.time(), abs=60)
    assert check_id(claimed.job.id)


@pytest.mark.parametrize(
    "row",
    ["'a/b', 'q', '{}', 1, 0", "'alpha', '', '{}', 1, 0", "'alpha', 'q', '{}', 0, 0", "'alpha', 'q', '{}', 1, 2"],
)
@ensureDeferred
async def test_rows_that_could_not_be_handed_out_are_refused_where_they_are_inserted(sql_bench: Any, row: str) -> None:
    await sql_bench.process()
    with pytest.raises(Exception, match=r"(?i)constraint"):
        sql_bench.server.say(
            f"INSERT INTO snqd_job (site, queue, body, attempt, state) VALUES ({row})", sql_bench.database
        )


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
async def test_a_program_without_a_reactor_enqueues_pauses_and_looks(sql_bench: Any) -> None:
    one = await sql_bench.process()
    queue = SqlQueue(sql_bench.url, sql_bench.folder)
    woken = one.woken()
    await deferToThread(queue.enqueue, [sql_bench.job(), sql_bench.job(queue="r")])
    await woken
    woken = one.woken()
    await deferToThread(queue.pause, "r", None, True)
    await woken
    assert await deferToThread(queue.pauses) == await one.store.pauses() == Pauses(queues=frozenset({"r"}))
    assert {depth.queue: depth.waiting for depth in await deferToThread(queue.depths)} == {"q": 1, "r": 1}
    assert queue.exists()
    sql_bench.server.kill()
    with pytest.raises(StoreUnavailable):
        await deferToThread(queue.enqueue, [sql_bench.job()])
    sql_bench.server.start()
    await deferToThread(queue.enqueue, [sql_bench.job()])
    queue.close()
    assert len(await ignoring_failures(one.claim)) == 2


@ensureDeferred
async def test_single_jobs_of_a_program_reach_postgresql_whatever_becomes_of_its_connection(tmp_path: Path) -> None:
    bench = PostgresqlBench(tmp_path)
    one = await bench.process()
    queue = SqlQueue(bench.url, bench.folder)
    bodies = [b"1", b'"' + bytes(range(1, 10)) + b'\\"', b"2" * 4097]
    for body in bodies:
        woken = one.woken()
        await deferToThread(queue.enqueue, [bench.job(body=body)])
        await woken
        (claimed,) = await one.claim()
        assert claimed.job.body == body
    with pytest.raises(StoreError, match="id_is_a_job_id"):
        await deferToThread(queue.enqueue, [bench.job(id="no id")])
    await deferToThread(queue.enqueue, [bench.job()])
    theirs = f"datname = '{bench.database}' AND query LIKE '%{NAME}%INSERT%' AND pid <> pg_backend_pid()"
    assert bench.server.say(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {theirs}") == [(True,)]
    with pytest.raises(StoreUnavailable):
        await deferToThread(queue.enqueue, [bench.job()])
    delayed = bench.job(not_before=time.time() + 60)
    await deferToThread(queue.enqueue, [delayed])
    queue.close()
    assert len(await one.claim()) == 1
    (depth,) = await one.store.depths()
    assert (depth.waiting, depth.delayed, depth.in_flight) == (0, 1, 4)
    await bench.close_all()
