"""GNU social's queue_item tables on a real MariaDB, served by daemons, with PHP daemons' claims beside."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pymysql
import pytest
from farm import Farm, start_all
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from waiting import wait_until

from snqd.core.errors import StoreError
from snqd.gnusocial.queue_item_jobs import job_of
from snqd.gnusocial.queue_item_tables import ROWS_OF_A_TABLE, ItemTable, QueueItems, is_lost
from snqd.stores.sql.dialects import Conflict, LoginRefused
from tests.servers.database_server import DatabaseServer
from tests.servers.mariadb import MariaDbServer, mariadb
from tests.servers.postgresql import postgresql

SAMPLES = sorted((Path(__file__).parents[1] / "samples" / "gnusocial120-db").iterdir())
SITES = 50
QUEUES = ("distrib", "peernoop")
HANDLERS = dict.fromkeys(QUEUES, "farm_handlers.Reader")
# As GNU social 1.2's schemaDef() has them made.
TABLE = """CREATE TABLE {}queue_item (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, frame BLOB NOT NULL,
    transport VARCHAR(32) NOT NULL, created DATETIME NOT NULL, claimed DATETIME,
    KEY queue_item_created_idx (created)) ENGINE=InnoDB CHARACTER SET utf8 COLLATE utf8_bin"""
TABLE_OF_SITES = """CREATE TABLE {}status_network (nickname VARCHAR(64) PRIMARY KEY, hostname VARCHAR(255),
    pathname VARCHAR(255), dbhost VARCHAR(255), dbuser VARCHAR(255), dbpass VARCHAR(255), dbname VARCHAR(255),
    sitename VARCHAR(255), created DATETIME, modified TIMESTAMP)"""
_NUMBERS = count(1)


def samples() -> list[tuple[bytes, str]]:
    """Frame and transport of each."""
    return [(sample.read_bytes(), sample.name.split(".")[0].split("-")[2]) for sample in SAMPLES]


class Sites:
    """The databases of a farm of GNU social's, each of its sites with one of its own, and all of one account."""

    def __init__(self, server: MariaDbServer, number: int) -> None:
        self.server = server
        self.name = f"gs{next(_NUMBERS)}"
        self.nicknames = [f"site{n}" for n in range(number)]
        self.connection = pymysql.connect(host="127.0.0.1", port=server.port, user="root", autocommit=True)
        self.say(f"CREATE DATABASE {self.name}")
        self.say(TABLE_OF_SITES.format(f"{self.name}."))
        self.say(f"CREATE USER {self.name}@'%' IDENTIFIED BY 'p@ss:word'")
        for nickname in self.nicknames:
            self.say(f"CREATE DATABASE {self.database(nickname)}")
            self.say(TABLE.format(f"{self.database(nickname)}."))
            self.say(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self.database(nickname)}.* TO {self.name}@'%'")
            self.define(nickname)

    def say(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def database(self, nickname: str) -> str:
        return f"{self.name}_{nickname}"

    def define(self, nickname: str) -> None:
        """Add the site to status_network."""
        host = f"127.0.0.1:{self.server.port}"
        row = (nickname, f"{nickname}.example", host, self.name, "p@ss:word", self.database(nickname))
        columns = "nickname, hostname, dbhost, dbuser, dbpass, dbname"
        self.say(f"INSERT INTO {self.name}.status_network ({columns}) VALUES (%s, %s, %s, %s, %s, %s)", *row)

    def add(self, nickname: str, frame: bytes, transport: str, claimed: str | None = None) -> None:
        """As DBQueueManager.enqueue() does."""
        self.say(
            f"INSERT INTO {self.database(nickname)}.queue_item (frame, transport, created, claimed)"
            " VALUES (%s, %s, UTC_TIMESTAMP(), %s)",
            frame,
            transport,
            claimed,
        )

    def add_samples(self, nickname: str) -> int:
        self.connection.begin()
        for frame, transport in samples():
            self.add(nickname, frame, transport)
        self.connection.commit()
        return len(SAMPLES)

    def left(self) -> list[tuple[str, ...]]:
        """Nickname, frame, and transport of all rows."""
        found = []
        for nickname in self.nicknames:
            rows = self.say(f"SELECT frame, transport FROM {self.database(nickname)}.queue_item")
            found += [(nickname, *row) for row in rows]
        return found


@pytest.fixture
def server() -> Iterator[MariaDbServer]:
    made = mariadb()
    yield made
    if made.process is None or made.process.poll() is not None:
        made.start()


@pytest.fixture
def make_farm(tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    farms: list[Farm] = []

    def make(sites: Sites | None, **sections: dict[str, object]) -> Farm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        sections["queue"] = {"foreign": "gnusocial-db"}
        if sites is not None:
            sections["sites"] = {"database": sites.server.url(sites.name)}
        farms.append(Farm(folder, sites=[], handlers=HANDLERS, sections=sections))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


class PhpDaemon(Thread):
    """Does as Queue_item::top() and DBQueueManager do: reads the first unclaimed row, writes that it is claimed, and
    takes it for its own if that changed a row."""

    def __init__(self, sites: Sites) -> None:
        super().__init__(daemon=True)
        self._sites = sites
        self._connection = pymysql.connect(host="127.0.0.1", port=sites.server.port, user="root", autocommit=True)
        self.handled = 0
        self.ended = Event()

    def run(self) -> None:
        with self._connection, self._connection.cursor() as cursor:
            while not self.ended.is_set():
                for nickname in self._sites.nicknames:
                    self._poll(cursor, f"{self._sites.database(nickname)}.queue_item")

    def _poll(self, cursor: Any, table: str) -> None:
        if not cursor.execute(f"SELECT id FROM {table} WHERE claimed IS NULL ORDER BY created LIMIT 1"):
            return
        ((key,),) = cursor.fetchall()
        if cursor.execute(f"UPDATE {table} SET claimed = UTC_TIMESTAMP() WHERE id = {key}"):
            self.handled += 1
            cursor.execute(f"DELETE FROM {table} WHERE id = {key}")


def test_a_daemon_serves_fifty_databases_while_rows_keep_coming(
    server: MariaDbServer, make_farm: Callable[..., Farm]
) -> None:
    sites = Sites(server, SITES)
    sites.define("nowhere")
    added = sum(sites.add_samples(nickname) for nickname in sites.nicknames)
    sites.add("site0", b'a:2:{i:0;s:9:"cut', "distrib")
    sites.add("site1", b"i:1;", "jabber")
    sites.add("site2", b"i:2;", "distrib", claimed="2026-01-01 00:00:00")
    sites.say(f"UPDATE {sites.database('site2')}.queue_item SET claimed = UTC_TIMESTAMP() WHERE id = 1")
    farm = make_farm(sites)
    farm.start()
    for _ in range(4):
        added += sum(sites.add_samples(nickname) for nickname in sites.nicknames)
    wait_until(lambda: len(farm.journal.handled()) == added, 60, f"{added} rows handled")
    assert sorted(row[:1] + row[2:] for row in sites.left()) == [("site1", "jabber"), ("site2", "distrib")]
    runs = farm.journal.runs()
    # One of site2's samples is in a PHP daemon's hands, but the row of a dead one is free.
    assert len(runs) == added + 1  # the broken one has no end
    (letter,) = farm.dead()
    assert (letter["site"], letter["queue"]) == ("site0", "distrib")
    log = farm.log()
    assert log.count("the queue_item of site nowhere is left alone for a while") == 1
    assert "1 rows of site site2's queue_item were claimed more than 3600.0 s ago, and are free again" in log
    assert log.count("rows of site site1's queue_item stay there: no handler here serves their transport jabber") == 1

    late = "site-that-comes-later"
    sites.say(f"CREATE DATABASE `{sites.database(late)}`")
    sites.say(TABLE.format(f"`{sites.database(late)}`."))
    sites.say(f"INSERT INTO `{sites.database(late)}`.queue_item VALUES (1, 'i:1;', 'distrib', UTC_TIMESTAMP(), NULL)")
    sites.say(f"GRANT SELECT, UPDATE, DELETE ON `{sites.database(late)}`.* TO {sites.name}@'%'")
    sites.define(late)
    assert farm.snqctl("update").returncode == 0
    wait_until(lambda: late in {run.site for run in farm.journal.runs()}, 30, "the new site's row")
    assert farm.stop() == 0


def test_two_daemons_and_a_php_daemon_never_have_the_same_row(
    server: MariaDbServer, make_farm: Callable[..., Farm]
) -> None:
    sites = Sites(server, 5)
    farms = [make_farm(sites), make_farm(sites)]
    start_all(farms)
    php = PhpDaemon(sites)  # two of them may well have the same row, which is no fault of ours
    php.start()
    rows = 0
    deadline = time.monotonic() + 60
    while not (php.handled and all(farm.journal.runs() for farm in farms)):
        assert time.monotonic() < deadline, "one of the three has had no row yet"
        for number in range(100):
            for nickname in sites.nicknames:
                sites.add(nickname, b"i:%d;" % number, "distrib")
                rows += 1
    wait_until(lambda: not sites.left(), 60, "empty tables")
    php.ended.set()
    php.join()

    def by_farms() -> int:
        return sum(len(farm.journal.handled()) for farm in farms)

    wait_until(lambda: by_farms() + php.handled >= rows, 30, "the jobs handled")
    for farm in farms:
        assert farm.stop() == 0
    assert sum(len(farm.journal.runs()) for farm in farms) + php.handled == rows


def test_a_child_killed_between_keeping_and_deleting_loses_nothing_and_repeats_are_known(
    server: MariaDbServer, make_farm: Callable[..., Farm]
) -> None:
    sites = Sites(server, 1)
    farm = make_farm(sites)
    farm.start()
    database = sqlite3.connect(farm.state_dir / "queue.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    added = sites.add_samples("site0")
    free = f"SELECT id FROM {sites.database('site0')}.queue_item FOR UPDATE SKIP LOCKED"
    wait_until(lambda: not sites.say(free), 15, "rows taken")
    sites.say("FLUSH TABLES WITH READ LOCK")  # no commit from now on
    database.rollback()
    database.close()
    wait_until(lambda: len(farm.journal.handled()) == added, 30, "the jobs, whose rows are not deleted yet")
    for pid in farm.child_pids():
        farm.kill(pid, signal.SIGKILL)
    connections = "SELECT id FROM information_schema.processlist WHERE user = %s"
    doomed = set(sites.say(connections, sites.name))
    for (number,) in doomed:
        with suppress(pymysql.err.OperationalError):  # it is gone already
            sites.say(f"KILL {number}")
    wait_until(lambda: doomed.isdisjoint(sites.say(connections, sites.name)), 15, "the end of their connections")
    sites.say("UNLOCK TABLES")
    wait_until(lambda: len(farm.journal.runs()) == 2 * added, 60, "the repeats")
    wait_until(lambda: not sites.left(), 30, "an empty table")
    assert len(farm.journal.by_job()) == added
    assert farm.stop() == 0


def test_a_server_that_dies_is_waited_for_and_nothing_is_lost(
    server: MariaDbServer, make_farm: Callable[..., Farm]
) -> None:
    sites = Sites(server, 3)
    farm = make_farm(sites)
    added = sum(sites.add_samples(nickname) for nickname in sites.nicknames)
    farm.start()
    wait_until(lambda: len(farm.journal.handled()) == added, 30, "the first rows")
    server.kill()
    wait_until(lambda: "wait in their tables, and are tried again" in farm.log(), 30, "a word about it")
    server.start()
    sites.connection.connect()
    added += sum(sites.add_samples(nickname) for nickname in sites.nicknames)
    wait_until(lambda: len(farm.journal.handled()) == added, 60, "the rows after it")
    assert "are taken over again" in farm.log()
    assert farm.stop() == 0


def table_of_postgresql() -> str:
    """TABLE in PostgreSQL's words."""
    words = TABLE.partition("KEY queue_item")[0].rstrip(" ,\n") + ")"
    for theirs, ours in (("INT NOT NULL AUTO_INCREMENT", "SERIAL"), ("BLOB", "BYTEA"), ("DATETIME", "TIMESTAMP")):
        words = words.replace(theirs, ours)
    return words.format("")


def test_a_daemon_serves_databases_on_postgresql_through_a_crash(make_farm: Callable[..., Farm]) -> None:
    server = postgresql()
    databases = {nickname: server.database() for nickname in ("one", "two")}

    def add() -> None:
        rows = ", ".join(f"(decode('{frame.hex()}', 'hex'), '{queue}', now())" for frame, queue in samples())
        for database in databases.values():
            server.say(f"INSERT INTO queue_item (frame, transport, created) VALUES {rows}", database)

    def left() -> int:
        return sum(server.say("SELECT count(*) FROM queue_item", database)[0][0] for database in databases.values())

    for database in databases.values():
        server.say(table_of_postgresql(), database)
    places = {
        f"site:{nickname}": {"server": f"{nickname}.example", "app.status_network.dbname": database}
        for nickname, database in databases.items()
    }
    account = {"dbhost": f"127.0.0.1:{server.port}", "dbuser": "snqd"}
    farm = make_farm(None, **places, **{"app:db": {"type": "pgsql"}, "app:status_network": account})
    add()
    farm.start()
    number = 2 * len(SAMPLES)
    wait_until(lambda: len(farm.journal.handled()) == number and not left(), 30, "the first rows")
    server.kill()
    wait_until(lambda: "wait in their tables, and are tried again" in farm.log(), 30, "a word about it")
    server.start()
    add()
    wait_until(lambda: len(farm.journal.handled()) == 2 * number and not left(), 60, "the rows after it")
    assert len(farm.journal.runs()) == 2 * number
    assert {run.site for run in farm.journal.runs()} == set(databases)
    assert farm.stop() == 0


@pytest.fixture(params=[mariadb, postgresql], ids=lambda start: start.__name__)
def table(request: pytest.FixtureRequest) -> Iterator[tuple[DatabaseServer, ItemTable, QueueItems]]:
    """A site's database, empty, on either server."""
    made: DatabaseServer = request.param()
    name = made.database()
    made.say(TABLE.format("") if made.kind == "mariadb" else table_of_postgresql(), name)
    items = QueueItems(make_url(made.url(name)))
    yield made, ItemTable("site", name, ("ping",)), items
    items.close()


def test_rows_are_taken_in_their_order_a_portion_at_a_time(table: Any) -> None:
    server, its, items = table
    assert items.look([its]).found == []
    values = ", ".join(f"('i:{n};', 'ping', '2026-11-24 09:00:00')" for n in range(ROWS_OF_A_TABLE + 10))
    server.say(f"INSERT INTO queue_item (frame, transport, created) VALUES {values}", its.database)
    server.say("INSERT INTO queue_item (frame, transport, created) VALUES ('i:0;', 'Ping', '2020-01-01')", its.database)
    assert items.look([its]).found == [its]
    first = items.take([its])
    assert [item.frame for item in first.items] == [b"i:%d;" % n for n in range(ROWS_OF_A_TABLE)]
    assert {item.created_at for item in first.items} == {1795510800.0}
    items.release()
    again = items.take([its])
    assert [job_of(item) for item in again.items] == [job_of(item) for item in first.items]
    items.commit()
    rest = items.take([its])
    assert len(rest.items) == 10
    items.commit()
    assert items.look([its]).found == []
    assert items.tidy(its, 60).others == ["Ping"]


def test_a_haul_keeps_to_its_bounds_of_rows_and_bytes(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server, its, items = table
    values = ", ".join(f"('{'x' * 100}', 'ping', '2026-11-24 09:00:00')" for n in range(20))
    server.say(f"INSERT INTO queue_item (frame, transport, created) VALUES {values}", its.database)
    monkeypatch.setattr("snqd.gnusocial.queue_item_tables.BYTES_AT_ONCE", 550)
    haul = items.take([its, its])
    assert (len(haul.items), haul.visited) == (6, 2)  # where there is room left, one row fits in any case
    items.release()
    monkeypatch.setattr("snqd.gnusocial.queue_item_tables.BYTES_AT_ONCE", 10)
    haul = items.take([its, its])
    assert (len(haul.items), haul.visited) == (1, 1)
    items.release()
    monkeypatch.setattr("snqd.gnusocial.queue_item_tables.BYTES_AT_ONCE", 10**6)
    monkeypatch.setattr("snqd.gnusocial.queue_item_tables.ROWS_AT_ONCE", ROWS_OF_A_TABLE + 10)
    haul = items.take([its, its])
    assert (len(haul.items), haul.visited) == (20, 1)  # another table might have had too many


def test_only_claims_of_served_queues_older_than_the_age_are_freed(table: Any) -> None:
    server, its, items = table
    now = "UTC_TIMESTAMP()" if server.kind == "mariadb" else "now() AT TIME ZONE 'UTC'"
    for transport, age in (("ping", 50), ("ping", 70), ("jabber", 70)):
        server.say(
            "INSERT INTO queue_item (frame, transport, created, claimed)"
            f" VALUES ('i:{age};', '{transport}', {now}, {now} - INTERVAL '{age}' SECOND)",
            its.database,
        )
    assert items.tidy(its, 60).freed == 1
    assert [item.frame for item in items.take([its]).items] == [b"i:70;"]


def test_what_others_have_locked_is_left_to_them_and_costs_no_other_table(table: Any) -> None:
    server, its, items = table
    server.say("INSERT INTO queue_item (frame, transport, created) VALUES ('i:1;', 'ping', '2026-11-24')", its.database)
    other = QueueItems(make_url(server.url(its.database)))
    try:
        assert len(other.take([its]).items) == 1
        haul = items.take([its])
        ((failed, error),) = haul.failed
        assert (haul.items, failed) == ([], its)
        assert isinstance(error, Conflict)
        other.commit()
        assert items.look([its]).found == []
    finally:
        other.close()


def test_what_others_are_just_adding_keeps_nothing_up(table: Any) -> None:
    server, its, items = table
    insert = "INSERT INTO queue_item (frame, transport, created) VALUES ('i:1;', 'ping', '2026-11-24')"
    for _ in range(5):
        server.say(insert, its.database)
    engine = create_engine(server.url(its.database))
    with engine.connect() as connection:
        connection.exec_driver_sql(insert)
        haul = items.take([its])
        assert len(haul.items) == 5
        connection.exec_driver_sql(insert)  # nor does what is taken keep others from adding
        items.commit()
        connection.commit()
    engine.dispose()
    assert len(items.take([its]).items) == 2


def test_a_table_that_may_only_be_read_is_not_taken_from_and_costs_no_other_one(server: MariaDbServer) -> None:
    sites = Sites(server, 2)
    one, two = (ItemTable(nickname, sites.database(nickname), ("distrib",)) for nickname in sites.nicknames)
    sites.say(f"REVOKE DELETE ON {one.database}.* FROM {sites.name}@'%'")
    for nickname in sites.nicknames:
        sites.add(nickname, b"i:1;", "distrib")
    account = make_url(f"mariadb+pymysql://127.0.0.1:{server.port}").set(username=sites.name, password="p@ss:word")
    items = QueueItems(account)
    try:
        haul = items.take([two, one])
        ((failed, error),) = haul.failed
        assert (haul.items, failed, len(sites.left())) == ([], one, 2)
        assert "DELETE" in str(error)
        assert len(items.take([two]).items) == 1
        items.commit()
        assert [row[0] for row in sites.left()] == ["site0"]
    finally:
        items.close()


def test_what_ails_one_table_is_told_apart_from_what_ails_the_server(table: Any) -> None:
    server, its, items = table
    server.say("DROP TABLE queue_item", its.database)
    ((failed, error),) = items.look([its]).failed
    assert failed == its
    assert "queue_item" in str(error)
    url = make_url(server.url(its.database))
    with pytest.raises(StoreError) as refused:
        QueueItems(url.set(username="nobody-here", password="secret")).connect()
    assert (isinstance(refused.value, LoginRefused), is_lost(refused.value)) == (True, False)
    assert "secret" not in str(refused.value)
    with pytest.raises(StoreError) as lost:
        QueueItems(url.set(port=1)).connect()
    assert is_lost(lost.value)
