"""The listener: what it hears, and how it comes back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import attrs
import psycopg
import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.testing import MemoryReactorClock

from snqd.core.errors import StoreUnavailable
from snqd.stores.sql.listener import SqlListener

LONGEST = 15.0


@attrs.frozen
class Notification:
    extra: bytes


class Connected:
    """psycopg's connection and its `pgconn`, on a pipe."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        self.pgconn = self
        self.autocommit = False
        self.said: list[str] = []
        self.waiting: list[Notification] = []
        self.broken = False

    def execute(self, statement: str) -> None:
        self.said.append(statement)

    def fileno(self) -> int:
        return self.reads

    def consume_input(self) -> None:
        if self.broken:
            raise psycopg.OperationalError("the connection is lost")

    def notifies(self) -> Notification | None:
        return self.waiting.pop(0) if self.waiting else None

    def close(self) -> None:
        os.close(self.reads)
        os.close(self.writes)


class Bench:
    name = "postgresql://h/d"

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.connections: list[Connected] = []
        self.away = False
        self.heard = 0
        self.listener = SqlListener(self.reactor, self, "5", self._at_once, self._hear, Random(1))  # type: ignore[arg-type]

    def own_connection(self) -> Connected:
        if self.away:
            raise StoreUnavailable("away")
        self.connections.append(Connected())
        return self.connections[-1]

    def _at_once(self, call: Callable[[], Any]) -> Deferred[Any]:
        return maybeDeferred(call)

    def _hear(self) -> None:
        self.heard += 1

    @property
    def listens(self) -> bool:
        return self.listener in self.reactor.getReaders()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.listener.stop()


def test_it_listens_outside_any_transaction_and_looks_once_at_its_beginning(bench: Bench) -> None:
    bench.listener.start()
    (connection,) = bench.connections
    assert (connection.said, connection.autocommit, bench.listens, bench.heard) == (["LISTEN snqd"], True, True, 1)


def test_many_notifications_are_one_call_and_the_own_are_none(bench: Bench) -> None:
    bench.listener.start()
    bench.connections[0].waiting = [Notification(b"7"), Notification(b""), Notification(b"5")]
    bench.listener.doRead()
    assert bench.heard == 2
    bench.connections[0].waiting = [Notification(b"5")]
    bench.listener.doRead()
    assert bench.heard == 2


def test_a_lost_connection_is_made_again_and_looked_after(bench: Bench) -> None:
    bench.listener.start()
    bench.connections[0].broken = True
    bench.listener.doRead()
    assert (bench.listens, bench.listener.fileno()) == (False, -1)
    bench.reactor.advance(LONGEST)
    assert (bench.listens, len(bench.connections), bench.heard) == (True, 2, 2)


def test_a_server_that_is_away_is_asked_again_until_it_is_back(bench: Bench) -> None:
    bench.away = True
    bench.listener.start()
    for _ in range(5):
        bench.reactor.advance(LONGEST)
    assert (bench.listens, bench.heard) == (False, 0)
    bench.away = False
    bench.reactor.advance(LONGEST)
    assert (bench.listens, bench.heard) == (True, 1)


def test_once_stopped_it_neither_listens_nor_comes_back(bench: Bench) -> None:
    bench.away = True
    bench.listener.start()
    bench.listener.stop()
    assert bench.reactor.getDelayedCalls() == []
    bench.away = False
    bench.listener.start()
    assert not bench.listens
    assert bench.heard == 0
