"""One connection to Redis: replies in pieces, deadlines, scripts that Redis forgot."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IWriteDescriptor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from snqd.core.errors import StoreError
from snqd.stores.redis.connection import DEADLINE, RedisConnection
from snqd.stores.redis.errors import RedisConnectionLost
from snqd.stores.redis.listener import SubscribedConnection
from snqd.stores.redis.scripts import PAUSES


class Transport(StringTransportWithDisconnection):
    def abortConnection(self) -> None:
        self.aborting = True
        self.loseConnection()


class Line:
    """A connection, with what it sent."""

    def __init__(self, connection: RedisConnection) -> None:
        self.connection = connection
        self.transport = Transport()
        self.transport.protocol = connection
        connection.makeConnection(self.transport)

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.dataReceived(piece)

    def sent(self) -> bytes:
        value: bytes = self.transport.value()
        self.transport.clear()
        return value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(clock: Clock) -> Line:
    return Line(RedisConnection(clock, "h:1/0"))


def ask(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


REPLIES = b"$4\r\n\0\r\n0\r\n*3\r\n$1\r\na\r\n:7\r\n$-1\r\n$0\r\n\r\n+OK\r\n"


@pytest.mark.parametrize("size", [1, 2, 5, 7, len(REPLIES)])
def test_replies_come_whole_however_they_are_cut_and_without_a_turn_of_the_reactor(line: Line, size: int) -> None:
    asked = [ask(line.connection.command("X")) for _ in range(4)]
    line.hear(*(REPLIES[at : at + size] for at in range(0, len(REPLIES), size)))
    assert [each.result for each in asked] == [b"\0\r\n0", [b"a", 7, None], b"", "OK"]


@pytest.mark.parametrize(("at_once", "closing", "written"), [(True, False, 1), (False, False, 0), (True, True, 0)])
def test_a_script_goes_out_before_the_reactors_next_turn_where_it_is_to(
    line: Line, at_once: bool, closing: bool, written: int
) -> None:
    writes: list[bytes] = []
    directlyProvides(line.transport, IWriteDescriptor)
    line.transport.doWrite = lambda: writes.append(line.sent())
    line.transport.disconnecting = closing
    ask(line.connection.run(PAUSES, "p", at_once=at_once))
    assert len(writes) == written
    assert all(PAUSES.sha1.encode() in each for each in writes)


def test_a_thousand_messages_at_once_are_heard_in_their_order(clock: Clock) -> None:
    heard: list[bytes] = []
    line = Line(SubscribedConnection(clock, "h:1/0", heard.append))
    line.hear(b"".join(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n%04d\r\n" % n for n in range(1000)))
    assert heard == [b"%04d" % n for n in range(1000)]


def test_a_script_that_redis_does_not_know_is_sent_whole(line: Line) -> None:
    asked = ask(line.connection.run(PAUSES, "p", "x"))
    assert b"EVALSHA" in line.sent()
    line.hear(b"-NOSCRIPT No matching script.\r\n")
    assert PAUSES.text.encode() in line.sent()
    line.hear(b"$1\r\ny\r\n")
    assert asked.result == b"y"


def test_an_error_is_told_in_words(line: Line) -> None:
    asked = ask(line.connection.command("X"))
    line.hear(b"-NOAUTH Authentication required.\r\n")
    asked.addErrback(lambda failure: failure.trap(StoreError) and str(failure.value))
    assert "put it into [queue] redis" in asked.result


def test_a_connection_on_which_an_answer_is_missing_is_given_up(line: Line, clock: Clock) -> None:
    asked = ask(line.connection.command("X"))
    clock.advance(DEADLINE - 0.1)
    assert line.transport.connected
    clock.advance(0.2)
    assert not line.transport.connected
    asked.addErrback(lambda failure: failure.trap(RedisConnectionLost) and str(failure.value))
    assert asked.result == "Redis at h:1/0 has not answered for 15 seconds"
    assert clock.getDelayedCalls() == []


def test_what_is_under_way_fails_after_the_loss_is_told(line: Line, clock: Clock) -> None:
    told: list[str] = []
    line.connection.lost = lambda connection: told.append("lost")
    asked = ask(line.connection.command("X"))
    asked.addErrback(lambda failure: told.append(failure.type.__name__))
    line.connection.connectionLost(Failure(ConnectionDone()))
    assert told == ["lost", "RedisConnectionLost"]
    assert clock.getDelayedCalls() == []


def test_a_command_on_a_dead_connection_fails(line: Line) -> None:
    line.connection.connectionLost(Failure(ConnectionDone()))
    asked = ask(line.connection.command("X"))
    asked.addErrback(lambda failure: failure.type)
    assert asked.result is RedisConnectionLost


def test_a_subscriber_that_answers_no_ping_is_given_up(clock: Clock) -> None:
    line = Line(SubscribedConnection(clock, "h:1/0", lambda text: None))
    line.connection.ping()
    line.hear(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
    line.connection.ping()
    assert line.transport.connected
    line.connection.ping()
    assert not line.transport.connected
