"""Link: a connection that counts once it is ready, and is made again for ever."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure

from snqd.config.redis_address import RedisAddress
from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.connection import RedisConnection
from snqd.stores.redis.link import LONGEST_DELAY, Link


class Transport(StringTransportWithDisconnection):
    def abortConnection(self) -> None:
        self.loseConnection()


class Server:
    """A link, and the reactor that stands for its server."""

    def __init__(self, prepare: Callable[[Any], Any]) -> None:
        self.reactor = MemoryReactorClock()
        self.link: Link[RedisConnection] = Link(
            self.reactor,
            RedisAddress(path="/redis.sock"),
            Random(1),
            lambda: RedisConnection(self.reactor, "here"),
            prepare,
            "jobs",
        )

    @property
    def attempts(self) -> int:
        return len(self.reactor.unixClients)

    def accept(self) -> Transport:
        factory = self.reactor.unixClients[-1][1]
        protocol = factory.buildProtocol(None)
        transport = Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport

    def refuse(self) -> None:
        factory = self.reactor.unixClients[-1][1]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))


class Preparing:
    """Readies connections when it is told to."""

    def __init__(self) -> None:
        self.steps: list[Deferred[None]] = []

    def __call__(self, connection: Any) -> Deferred[None]:
        self.steps.append(Deferred())
        return self.steps[-1]


@pytest.fixture
def preparing() -> Preparing:
    return Preparing()


@pytest.fixture
def server(preparing: Preparing) -> Server:
    made = Server(preparing)
    made.link.start()
    return made


def error_of(deferred: Deferred[Any]) -> Any:
    deferred.addErrback(lambda failure: failure.value)
    return deferred.result


def test_a_connection_counts_once_it_is_ready(server: Server, preparing: Preparing) -> None:
    up = server.link.up()
    server.accept()
    assert server.link.connection is None
    preparing.steps[0].callback(None)
    assert up.result is server.link.connection is not None
    assert server.link.up().called


def test_a_refused_connection_is_tried_again_ever_more_slowly_up_to_a_bound(server: Server) -> None:
    waits = []
    for attempt in range(1, 12):
        assert server.attempts == attempt
        server.refuse()
        before = server.reactor.seconds()
        while server.attempts == attempt:
            server.reactor.advance(0.01)
        waits.append(server.reactor.seconds() - before)
    assert waits[0] < 0.2
    assert waits[1] > waits[0]
    assert LONGEST_DELAY * 0.7 < waits[-1] < LONGEST_DELAY + 0.1


def test_a_lost_connection_is_made_again(server: Server, preparing: Preparing) -> None:
    transport = server.accept()
    preparing.steps[0].callback(None)
    assert server.link.trouble is None
    transport.loseConnection()
    assert server.link.connection is None
    assert server.link.trouble == "lost the connection to Redis at /redis.sock/0 for jobs"
    server.reactor.advance(1)
    assert server.attempts == 2
    server.refuse()
    assert str(server.link.trouble).startswith("no connection to Redis at /redis.sock/0 for jobs: ")


def test_a_connection_that_is_refused_after_it_is_made_is_dropped_and_made_again(
    server: Server, preparing: Preparing
) -> None:
    transport = server.accept()
    up = server.link.up()
    preparing.steps[0].errback(StoreUnavailable("still loading"))
    assert not transport.connected
    assert not up.called
    server.reactor.advance(1)
    assert server.attempts == 2


def test_a_refusal_for_good_is_told_to_those_who_wait_and_yet_tried_again(server: Server, preparing: Preparing) -> None:
    up = server.link.up()
    server.accept()
    preparing.steps[0].errback(StoreError("wrong password"))
    assert str(error_of(up)) == "wrong password"
    server.reactor.advance(1)
    assert server.attempts == 2


def test_the_end_of_a_connection_that_did_not_count_takes_none_away(server: Server, preparing: Preparing) -> None:
    server.accept()
    preparing.steps[0].callback(None)
    server.link._lost(RedisConnection(server.reactor, "here"))
    assert server.link.connection is not None


def test_stopping_fails_those_who_wait_or_come_later_and_leaves_no_timer(server: Server) -> None:
    up = server.link.up()
    server.refuse()
    server.link.stop()
    assert isinstance(error_of(up), StoreUnavailable)
    assert isinstance(error_of(server.link.up()), StoreUnavailable)
    assert server.reactor.getDelayedCalls() == []


def test_waiting_may_be_given_up(server: Server, preparing: Preparing) -> None:
    up = server.link.up()
    up.addErrback(lambda failure: None)
    up.cancel()
    server.accept()
    preparing.steps[0].callback(None)
    assert up.result is None


def test_losing_a_connection_before_it_is_ready_ends_its_readying(server: Server, preparing: Preparing) -> None:
    transport = server.accept()
    transport.loseConnection()
    preparing.steps[0].errback(StoreUnavailable("lost"))
    server.reactor.advance(1)
    assert server.attempts == 2
    assert server.link.connection is None
