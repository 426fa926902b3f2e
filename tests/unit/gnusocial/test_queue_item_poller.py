"""The poller of a server's queue_item tables, with tables in memory: in which order what happens, and what if not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from sqlalchemy.engine import URL, make_url
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.core.job import MAX_BODY_BYTES, Job
from snqd.gnusocial.queue_item_pace import ROOM
from snqd.gnusocial.queue_item_poller import FULL_ROUND, HOLD, ItemPoller, Outlets
from snqd.gnusocial.queue_item_tables import ItemTable, LockedRows, QueueItem, QueueItemScan, Tidied
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.interface import Depth
from snqd.stores.morgue.morgue import Letter
from snqd.stores.sql.dialects import LoginRefused

URL_ONE = make_url("mariadb+pymysql://one@db")
URL_TWO = make_url("mariadb+pymysql://two@db")
ONE = ItemTable("one", "db_one", ("ping",))
TWO = ItemTable("two", "db_two", ("ping",))
AGE = 3600.0


class Server:
    """Tables in memory.

    :ivar rows: by site.
    :ivar locked: keys of rows in a haul under way.
    :ivar broken: what a site's table raises; "" stands for the server.
    :ivar did: what it was asked for, in order.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[QueueItem]] = {}
        self.locked: list[QueueItem] = []
        self.broken: dict[str, StoreError] = {}
        self.refused: set[URL] = set()
        self.did: list[str] = []
        self.tidied = Tidied(0, [])
        self.at_once = 2

    def open(self, url: URL) -> Connection:
        return Connection(self, url)

    def add(self, table: ItemTable, *frames: bytes) -> None:
        rows = self.rows.setdefault(table.site, [])
        rows += [
            QueueItem(table, len(rows) + n, "ping", "2026-11-24 09:00:00", 5.0, frame) for n, frame in enumerate(frames)
        ]


@attrs.define
class Connection:
    """See :class:`snqd.gnusocial.queue_item_tables.QueueItems`."""

    server: Server
    url: URL
    name: str = "server"

    def connect(self) -> None:
        self._check("")
        if self.url in self.server.refused:
            raise LoginRefused("no such user")

    def look(self, tables: Sequence[ItemTable]) -> QueueItemScan:
        self.server.did.append("look")
        self._check("")
        failed = [(table, self.server.broken[table.site]) for table in tables if table.site in self.server.broken]
        return QueueItemScan([table for table in tables if self.server.rows.get(table.site)], failed)

    def take(self, tables: Sequence[ItemTable]) -> LockedRows:
        self.server.did.append(f"take {tables[0].site}")
        self.server.locked = self.server.rows[tables[0].site][: self.server.at_once]
        return LockedRows(list(self.server.locked), [], 1)

    def commit(self) -> None:
        self.server.did.append("commit")
        self._check("commit")
        for item in self.server.locked:
            self.server.rows[item.table.site].remove(item)
        self.server.locked = []

    def release(self) -> None:
        self.server.locked = []

    def tidy(self, table: ItemTable, age: float) -> Tidied:
        assert age == AGE
        return self.server.tidied

    def close(self) -> None:
        self.server.did.append("close")
        self.server.locked = []

    def _check(self, what: str) -> None:
        if what in self.server.broken:
            raise self.server.broken[what]


class Outside:
    """Store and morgue."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.jobs: list[Job] = []
        self.letters: list[Letter] = []
        self.bad_items: list[tuple[str, str]] = []
        self.answer: Callable[[], Deferred[None]] = lambda: succeed(None)
        self.depths: list[Depth] | None = []

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        self.server.did.append("enqueue")
        answer = self.answer()
        if not isinstance(answer.result if answer.called else None, Exception):
            self.jobs += jobs
        return answer

    def bury(self, letter: Letter) -> Deferred[None]:
        self.server.did.append("bury")
        self.letters.append(letter)
        return succeed(None)

    def bad_item(self, queue: str, site: str) -> None:
        self.server.did.append("count")
        self.bad_items.append((queue, site))

    async def tell_depths(self) -> list[Depth] | None:
        return self.depths


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.server = Server()
        self.outside = Outside(self.server)
        outside = self.outside
        outlets = Outlets(outside.enqueue, outside.tell_depths, outside.bury, outside.bad_item)
        self.poller = ItemPoller(self.clock, "db:3306", outlets, maybeDeferred, AGE, self.server.open)  # type: ignore[arg-type]
        self.poller.serve({URL_ONE: [ONE, TWO]})
        self.lines: list[str] = []
        self.poller.log = Lines(self.lines)  # type: ignore[assignment]

    def poll(self) -> Any:
        """The poll's result, None while it has none."""
        answers: list[Any] = []
        self.poller.poll().addBoth(answers.append)
        return answers[0] if answers else None

    def sites(self) -> list[str]:
        return [job.site for job in self.outside.jobs]


class Lines:
    """A log."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def _write(self, text: str, **more: Any) -> None:
        self._lines.append(text.format(**more))

    info = warn = error = _write


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_rows_leave_their_table_after_their_jobs_are_durable(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    bench.poll()
    assert bench.server.did == ["look", "take one", "enqueue", "commit"]
    assert bench.server.rows == {"one": []}
    (job,) = bench.outside.jobs
    assert (job.site, job.queue, job.body) == ("one", "ping", b"i:1;")
    bench.poll()
    assert len(bench.outside.jobs) == 1


def test_each_site_has_its_turn_in_each_round_however_many_rows_one_has(bench: Bench) -> None:
    bench.server.add(ONE, *[b"i:1;"] * 10)
    bench.server.add(TWO, b"i:1;")
    bench.poll()
    assert bench.sites() == ["one", "one", "two"]
    bench.poll()
    assert bench.sites() == ["one", "one", "two", "one", "one"]


def test_a_full_round_is_followed_by_another_at_once_and_an_empty_one_is_not(bench: Bench) -> None:
    bench.server.add(ONE, *[b"i:1;"] * (FULL_ROUND + 1))
    bench.server.at_once = FULL_ROUND
    assert [bench.poll(), bench.poll(), bench.poll()] == [True, False, False]


def test_rows_stay_where_they_are_if_the_store_does_not_accept_them(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    bench.outside.answer = lambda: fail(StoreUnavailable("the disk is full"))
    assert bench.poll() is False
    assert (len(bench.server.rows["one"]), bench.server.locked) == (1, [])
    assert "commit" not in bench.server.did
    assert bench.lines == ["queue_item rows on db:3306 wait in their tables, and are tried again: the disk is full"]
    bench.poll()
    assert bench.server.did.count("enqueue") == 1  # not at once
    bench.outside.answer = lambda: succeed(None)
    bench.clock.advance(1)
    bench.poll()
    assert bench.server.rows["one"] == []
    assert bench.lines[1:] == ["queue_item rows on db:3306 are taken over again"]


def test_a_store_that_does_not_answer_keeps_rows_locked_for_a_while_only(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    late: Deferred[None] = Deferred()
    bench.outside.answer = lambda: late
    polled: list[Any] = []
    bench.poller.poll().addCallback(polled.append)
    assert (len(bench.server.locked), polled) == (1, [])
    bench.clock.advance(HOLD)
    assert (bench.server.locked, polled) == ([], [False])
    late.callback(None)  # it had them after all
    bench.outside.answer = lambda: succeed(None)
    bench.clock.advance(1)
    bench.poll()
    first, again = bench.outside.jobs
    assert first.id == again.id
    assert bench.clock.getDelayedCalls() == []


def test_a_row_whose_removal_cannot_be_committed_is_the_same_job_again(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    bench.server.broken["commit"] = ConnectionLost("gone")
    assert bench.poll() is False
    del bench.server.broken["commit"]
    bench.clock.advance(1)
    bench.poll()
    first, again = bench.outside.jobs
    assert first == again
    assert bench.server.rows["one"] == []


def test_a_server_that_is_away_is_tried_for_ever_with_longer_waits_and_told_of_once(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    bench.server.broken[""] = ConnectionLost("refused")
    for _ in range(3600):
        assert bench.poll() is False
        bench.clock.advance(1)
    assert len(bench.lines) == 1
    del bench.server.broken[""]
    bench.clock.advance(30)
    bench.poll()
    assert bench.sites() == ["one"]


def test_a_table_that_cannot_be_read_is_told_of_once_and_keeps_no_other_site(bench: Bench) -> None:
    bench.server.broken["one"] = StoreError("no such table")
    bench.server.add(TWO, b"i:1;")
    for _ in range(100):
        bench.poll()
        bench.clock.advance(1)
    assert bench.sites() == ["two"]
    assert bench.lines == ["the queue_item of site one is left alone for a while: no such table"]
    del bench.server.broken["one"]
    bench.server.add(ONE, b"i:1;")
    bench.clock.advance(300)
    bench.poll()
    assert bench.sites() == ["two", "one"]
    assert bench.lines[1:] == ["the queue_item of site one can be read again"]


def test_an_account_that_is_refused_keeps_no_other_account(bench: Bench) -> None:
    bench.poller.serve({URL_ONE: [ONE], URL_TWO: [TWO]})
    bench.server.refused.add(URL_ONE)
    bench.server.add(ONE, b"i:1;")
    bench.server.add(TWO, b"i:1;")
    bench.poll()
    assert bench.sites() == ["two"]
    (line,) = bench.lines
    assert line.startswith("the queue_item of site one is left alone for a while, since its account is refused")


def test_a_row_that_is_no_job_lies_in_the_morgue_before_it_is_gone(bench: Bench) -> None:
    bench.server.add(ONE, b"x" * (MAX_BODY_BYTES + 1), b"i:1;")
    bench.poll()
    assert bench.server.did == ["look", "take one", "bury", "enqueue", "commit", "count"]
    assert bench.outside.bad_items == [(bench.outside.letters[0].queue, "one")]
    assert (len(bench.outside.jobs), len(bench.outside.letters)) == (1, 1)
    assert "is a dead letter" in bench.lines[0]


def test_a_site_with_much_in_the_store_is_passed_over_until_it_has_less(bench: Bench) -> None:
    bench.server.at_once = ROOM
    bench.server.add(ONE, *[b"i:1;"] * (ROOM + 5))
    bench.poll()
    bench.outside.depths = [Depth("ping", "one", ROOM, 0, 0, 1.0)]
    bench.server.add(TWO, b"i:1;")
    bench.poll()
    assert len(bench.outside.jobs) == ROOM + 1
    bench.outside.depths = []
    bench.clock.advance(2)
    bench.poll()
    assert len(bench.outside.jobs) == ROOM + 6


def test_freed_claims_and_rows_that_nobody_serves_are_told_of(bench: Bench) -> None:
    bench.poller.serve({URL_ONE: [ONE]})
    bench.server.tidied = Tidied(3, ["jabber"])
    bench.poll()
    assert bench.lines == [
        "3 rows of site one's queue_item were claimed more than 3600.0 s ago, and are free again",
        "rows of site one's queue_item stay there: no handler here serves their transport jabber",
    ]
    bench.server.tidied = Tidied(0, ["jabber"])
    bench.clock.advance(60)
    bench.poll()
    assert len(bench.lines) == 2


def test_nothing_is_taken_after_the_end_was_called(bench: Bench) -> None:
    bench.server.add(ONE, b"i:1;")
    bench.poller.quiet()
    bench.poll()
    assert bench.server.did == []
