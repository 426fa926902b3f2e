"""PostgreSQL and MariaDB when other programs are in the way: they take all connections, or make deadlocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from snqd.core.errors import StoreUnavailable
from snqd.stores.morgue.sql_morgue import SqlMorgue
from snqd.stores.sql.blocking import SqlQueue
from snqd.stores.sql.control_table import ControlTable
from snqd.stores.sql.server import SqlServer
from tests.patience import UNTIL, Deadline, in_time

CROWDED = "the server has no connection left: raise its max_connections"
ENOUGH = 200
"""More connections than either server takes as its packagers set it up."""
ADMIN = {"postgresql": "postgres", "mariadb": "mysql"}
OURS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = %s",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE db = %s",
}
END = {"postgresql": "SELECT pg_terminate_backend(%s)", "mariadb": "KILL CONNECTION %s"}
BLOCKED = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
    " ON trx_mysql_thread_id = id WHERE db = %s AND trx_state = 'LOCK WAIT'",
}


def ask(connection: Any, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return list(cursor.fetchall()) if cursor.description else []


def patiently(condition: Callable[[], Any]) -> None:
    """Wait for `condition`, without letting the reactor go on."""
    deadline = Deadline(UNTIL)
    while not condition():
        assert not deadline.is_over(), "it did not come true"
        time.sleep(0.01)


class Crowd:
    """Connections of others, as many as the server takes; the bench's own are ended."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._server = SqlServer(bench.server.url(ADMIN[bench.kind]), "queue", ())
        self._connections: list[Any] = []
        self._fill()
        patiently(self._alone)

    def leave(self) -> None:
        while self._connections:
            self._connections.pop().close()
        self._server.close()

    def _alone(self) -> bool:
        """Push the bench's connections out; whether none is left, and others have their places."""
        admin = self._connections[0]
        for (number,) in ask(admin, OURS[self._bench.kind], self._bench.database):
            ask(admin, END[self._bench.kind], number)
        refused = self._fill()
        admin.commit()  # PostgreSQL's next look is to show another moment
        return refused and not ask(admin, OURS[self._bench.kind], self._bench.database)

    def _fill(self) -> bool:
        for _ in range(ENOUGH):
            try:
                self._connections.append(self._server.own_connection())
            except (psycopg.OperationalError, pymysql.OperationalError):
                return True
        return False


@contextmanager
def crowd(bench: Any) -> Iterator[None]:
    if bench.kind == "mariadb":  # whose connections take long to make
        bench.server.say("SET GLOBAL max_connections = 10")
    made = Crowd(bench)
    try:
        yield
    finally:
        made.leave()
        if bench.kind == "mariadb":
            bench.server.say("SET GLOBAL max_connections = DEFAULT")


@ensureDeferred
async def test_a_server_without_a_free_connection_is_named_waited_for_and_loses_nothing(sql_bench: Any) -> None:
    one = await sql_bench.process()
    await one.enqueue(*sql_bench.jobs(2))
    (first,) = await one.claim(1)
    with crowd(sql_bench):
        settled = one.store.ack(first.receipt, [sql_bench.job(queue="later")])
        with pytest.raises(StoreUnavailable, match=CROWDED):
            await one.enqueue(sql_bench.job())
        with pytest.raises(StoreUnavailable, match=CROWDED):
            await one.claim()
        opening = Deferred.fromCoroutine(sql_bench.process())
        with pytest.raises(StoreUnavailable, match=CROWDED):
            await deferToThread(SqlMorgue(sql_bench.url).count)
        assert not settled.called
        assert not opening.called
    assert await settled is True
    two = await opening
    assert len(await two.claim(queue="later")) == 1
    assert len(await one.claim()) == 1


def test_programs_that_find_no_free_connection_say_so(sql_kind: Any, tmp_path: Path) -> None:
    bench = sql_kind(tmp_path)
    queue, morgue, control = SqlQueue(bench.url, tmp_path), SqlMorgue(bench.url), ControlTable(bench.url)
    actions = [lambda: queue.enqueue(bench.jobs(1)), queue.depths, morgue.count, control.last]
    with crowd(bench):
        for action in actions:
            with pytest.raises(StoreUnavailable, match=CROWDED):
                action()
    for action in actions:
        action()
    assert len(queue.depths()) == 1
    for each in (queue, morgue, control):
        each.close()


@ensureDeferred
async def test_a_deadlock_with_another_program_is_resolved_and_nothing_is_lost(sql_bench: Any) -> None:
    if sql_bench.kind == "postgresql":  # who looks first is the victim: let it be snqd, and soon
        sql_bench.server.say(f"ALTER DATABASE {sql_bench.database} SET deadlock_timeout = '100ms'")
    one = await sql_bench.process()
    await one.enqueue(*sql_bench.jobs(100))  # MariaDB's victim is who has changed fewer rows
    (held,) = await one.claim(1)
    other = SqlServer(sql_bench.url, "queue", ()).own_connection()
    if sql_bench.kind == "postgresql":
        ask(other, "SET deadlock_timeout = '60s'")
    ask(other, "UPDATE snqd_job SET reason = 'other'")
    settled = one.store.ack(held.receipt)

    def close_the_circle() -> None:
        patiently(lambda: sql_bench.server.say(BLOCKED[sql_bench.kind].replace("%s", f"'{sql_bench.database}'"))[0][0])
        # Ends only when the other side has given way: it holds this row, and waits for ours.
        ask(other, "UPDATE snqd_owner SET name = concat(name, '')")
        other.commit()

    await in_time(deferToThread(close_the_circle))
    assert await settled is True
    assert len(await one.drain()) == 99
    other.close()
