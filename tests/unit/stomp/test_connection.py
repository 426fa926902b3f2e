"""A connection that is made again for ever."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.core.errors import StoreUnavailable
from snqd.stomp.connection import LONGEST_DELAY, LONGEST_UNREACHED, StompConnection, Subscription
from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame
from snqd.stomp.login import Login
from snqd.stomp.parser import Parser
from snqd.stomp.protocol import HANDSHAKE_TIMEOUT
from tests.unit.stomp.doubles import Transport


@attrs.define(eq=False)
class Attempt:
    """One attempt to connect, which a test lets succeed or fail."""

    factory: Any
    connecting: Deferred[Any]
    protocol: Any = None
    transport: Transport = attrs.field(factory=Transport)

    def refuse(self) -> None:
        self.connecting.errback(ConnectionRefusedError())

    def accept(self) -> None:
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.connecting.callback(self.protocol)

    def say(self, command: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.protocol.dataReceived(encode(command, named, b""))

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))


class Broker:
    """An endpoint, and a connection to it."""

    def __init__(self, subscriptions: list[Subscription] | None = None) -> None:
        self.clock = Clock()
        self.attempts: list[Attempt] = []
        self.events: list[Any] = []
        self.connection = StompConnection(
            self.clock,
            self,  # type: ignore[arg-type]
            Login("me", "secret"),
            Random(7),
            "the broker",
            on_message=lambda frame, epoch: self.events.append((frame.command, epoch)),
            on_up=lambda: self.events.append("up"),
            on_down=lambda: self.events.append("down"),
            subscriptions=lambda connected: subscriptions or [],
        )
        self.started: list[Any] = []
        self.connection.start().addCallback(self.started.append)

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts.append(Attempt(factory, Deferred()))
        return self.attempts[-1].connecting

    def next_attempt(self) -> Attempt:
        before = len(self.attempts)
        waited = 0.0
        while len(self.attempts) == before:
            assert waited <= LONGEST_DELAY
            self.clock.advance(0.05)
            waited += 0.05
        return self.attempts[-1]

    def sent(self, attempt: Attempt) -> list[Frame]:
        self.clock.advance(0)
        data = attempt.transport.value()
        attempt.transport.clear()
        return list(Parser().feed(data))

    def log_in(self, attempt: Attempt) -> None:
        attempt.accept()
        self.sent(attempt)
        attempt.say("CONNECTED", version="1.2")

    def confirm(self, attempt: Attempt) -> list[Frame]:
        frames = self.sent(attempt)
        for frame in frames:
            if "receipt" in frame.headers:
                attempt.say("RECEIPT", receipt_id=frame.headers["receipt"])
        return frames

    def stop(self) -> list[Any]:
        stopped: list[Any] = []
        self.connection.stop().addBoth(stopped.append)
        return stopped


SUBSCRIPTIONS = [Subscription("1", "/queue/a", {"prefetch-count": "5"}), Subscription("2", "/queue/b")]


def test_it_counts_once_every_subscription_is_confirmed() -> None:
    broker = Broker(SUBSCRIPTIONS)
    (attempt,) = broker.attempts
    broker.log_in(attempt)
    assert broker.events == []
    frames = broker.confirm(attempt)
    assert [frame.headers["destination"] for frame in frames] == ["/queue/a", "/queue/b"]
    assert broker.events == ["up"]
    assert broker.started == [None]
    assert broker.connection.epoch > 0


def test_it_tells_why_it_is_not_there() -> None:
    broker = Broker()
    (attempt,) = broker.attempts
    assert broker.connection.trouble is None  # none that is known of
    assert str(broker.connection.absence()) == "there is no connection to the broker: not yet"
    broker.log_in(attempt)
    assert broker.connection.trouble is None
    attempt.say("ERROR", message="go away")
    attempt.lose()
    assert broker.connection.trouble == "there is no connection to the broker: the broker says: go away"


def test_it_waits_longer_after_each_failure_and_never_gives_up() -> None:
    broker = Broker()
    times = []
    for _ in range(12):
        broker.attempts[-1].refuse()
        before = broker.clock.seconds()
        broker.next_attempt()
        times.append(broker.clock.seconds() - before)
    assert broker.started == [None]
    assert times[0] < 0.3 < times[-1] <= LONGEST_UNREACHED + 0.1


def test_one_that_answers_and_lets_nobody_in_is_tried_less_often() -> None:
    broker = Broker()
    times = []
    for _ in range(12):
        broker.attempts[-1].accept()
        broker.attempts[-1].lose()
        before = broker.clock.seconds()
        broker.next_attempt()
        times.append(broker.clock.seconds() - before)
    assert 2.9 < times[-1] <= LONGEST_DELAY + 0.1


def test_failures_in_turn_are_logged_once_each_until_there_is_a_connection() -> None:
    broker = Broker()
    lines: list[str] = []
    broker.connection.log = SimpleNamespace(  # type: ignore[assignment]
        error=lambda text, **fields: lines.append(str(fields["error"])), info=lambda text, **fields: None
    )
    for n in range(20):
        broker.attempts[-1].connecting.errback(ValueError(f"number {n % 2}"))
        broker.next_attempt()
    assert lines == ["number 0", "number 1"]
    broker.log_in(broker.attempts[-1])
    broker.attempts[-1].lose()
    broker.next_attempt().connecting.errback(ValueError("number 0"))
    assert lines[-1] == "number 0"
    assert len(lines) == 4


def test_a_lost_connection_is_made_again_with_its_subscriptions_and_a_new_epoch() -> None:
    broker = Broker(SUBSCRIPTIONS)
    broker.log_in(broker.attempts[0])
    broker.confirm(broker.attempts[0])
    first = broker.connection.epoch
    broker.attempts[0].lose()
    assert broker.connection.epoch == 0
    again = broker.next_attempt()
    broker.log_in(again)
    assert len(broker.confirm(again)) == 2
    assert broker.connection.epoch > first
    assert broker.events == ["up", "down", "up"]


def test_subscriptions_that_change_before_it_counts_change_on_this_connection() -> None:
    broker = Broker(SUBSCRIPTIONS)
    (attempt,) = broker.attempts
    broker.connection.subscribe(Subscription("3", "/queue/c"))  # not asked for yet: it will be
    broker.log_in(attempt)
    broker.connection.unsubscribe("2", "/queue/b")
    broker.connection.subscribe(Subscription("4", "/queue/b"))
    frames = broker.confirm(attempt)
    assert [(frame.command, frame.headers["id"]) for frame in frames] == [
        ("SUBSCRIBE", "1"),
        ("SUBSCRIBE", "2"),
        ("UNSUBSCRIBE", "2"),
        ("SUBSCRIBE", "4"),
    ]
    assert broker.events == ["up"]
    attempt.lose()
    assert isinstance(
        broker.connection.unsubscribe("1", "/queue/a").addErrback(lambda gone: gone.value).result, StoreUnavailable
    )


def test_a_subscription_that_is_refused_costs_the_connection() -> None:
    broker = Broker(SUBSCRIPTIONS)
    broker.log_in(broker.attempts[0])
    broker.sent(broker.attempts[0])
    broker.attempts[0].say("ERROR", message="precondition_failed")
    broker.attempts[0].lose()
    assert broker.events == []
    broker.log_in(broker.next_attempt())
    broker.confirm(broker.attempts[-1])
    assert broker.events == ["up"]


def test_a_broker_that_never_answers_is_tried_again() -> None:
    broker = Broker()
    broker.attempts[0].accept()
    broker.clock.advance(HANDSHAKE_TIMEOUT)
    assert broker.attempts[0].transport.disconnecting or broker.attempts[0].transport.disconnected
    broker.attempts[0].lose()
    broker.log_in(broker.next_attempt())
    assert broker.events == ["up"]


def test_a_broker_that_throws_everybody_out_is_not_hammered() -> None:
    broker = Broker()
    for _ in range(8):
        broker.log_in(broker.attempts[-1])
        broker.attempts[-1].lose()
        broker.next_attempt()
    assert broker.clock.seconds() > 8


def test_a_message_carries_its_connections_epoch() -> None:
    broker = Broker()
    broker.log_in(broker.attempts[0])
    broker.attempts[0].say("MESSAGE", message_id="1")
    assert broker.events == ["up", ("MESSAGE", broker.connection.epoch)]


def test_without_a_connection_nothing_is_sent() -> None:
    broker = Broker()
    failed: list[Any] = []
    broker.connection.send("/queue/a", {}, b"").addErrback(failed.append)
    assert failed[0].check(StoreUnavailable)


def test_it_is_up_before_anybody_is_told_that_it_may_be_used() -> None:
    broker = Broker()
    broker.connection._first_attempt.addCallback(lambda _: broker.events.append("started"))
    broker.connection.up().addCallback(lambda _: broker.events.append("gotten"))
    broker.log_in(broker.attempts[0])
    assert broker.events == ["up", "started", "gotten"]


def test_who_waits_for_a_connection_gets_it() -> None:
    broker = Broker()
    got: list[Any] = []
    broker.connection.up().addCallback(got.append)
    broker.log_in(broker.attempts[0])
    broker.connection.up().addCallback(got.append)
    assert got == [broker.attempts[0].protocol] * 2


def test_it_stops_in_the_middle_of_anything() -> None:
    connecting = Broker()
    assert connecting.stop() == [None]

    waiting = Broker()
    waiting.attempts[0].refuse()
    failed: list[Any] = []
    waiting.connection.up().addErrback(failed.append)
    assert waiting.stop() == [None]
    assert failed[0].check(StoreUnavailable)

    shaking = Broker()
    shaking.attempts[0].accept()
    stopped = shaking.stop()
    shaking.attempts[0].lose()
    assert stopped == [None]

    up = Broker()
    up.log_in(up.attempts[0])
    stopped = up.stop()
    assert [frame.command for frame in up.confirm(up.attempts[0])] == ["DISCONNECT"]
    assert stopped == []
    up.attempts[0].lose()
    assert stopped == [None]
    for broker in (connecting, waiting, shaking, up):
        assert broker.clock.getDelayedCalls() == []
        assert len(broker.attempts) == 1
