"""A consumer's side of its connections: what it may settle, and what it lets come."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.core.job import Job
from snqd.stomp.connection import LONGEST_DELAY
from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame, Version
from snqd.stomp.parser import Parser
from snqd.stomp.protocol import Login
from snqd.stores.stomp.consumer import Consumer, Source
from snqd.stores.stomp.inbox import Arrival
from tests.unit.stomp.doubles import Transport


class Bench:
    """A consumer, connected to a broker that a test plays."""

    def __init__(self, server: str = "RabbitMQ/3.10.8") -> None:
        self.clock = Clock()
        self.server = server
        self.arrived: list[Arrival] = []
        self.consumer = Consumer(
            self.clock, self, Login(), Random(7), "the broker", self._arrived, lambda: None, lambda epoch: None  # type: ignore[arg-type]
        )  # fmt: skip
        self.source = Source("/queue/a", "main", self.consumer)
        self.consumer.listen(self.source, 10)
        self.consumer.start()
        self.log_in()

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol, self.transport = factory.buildProtocol(None), Transport()
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def log_in(self) -> None:
        self.sent()
        self.say("CONNECTED", version="1.2", server=self.server)
        self.confirm()

    def sent(self) -> list[Frame]:
        self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        parser = Parser()
        parser.version = Version.V1_2
        return list(parser.feed(data))

    def confirm(self) -> list[Frame]:
        """Answer to what asks for it."""
        frames = self.sent()
        for frame in frames:
            if "receipt" in frame.headers:
                self.say("RECEIPT", receipt_id=frame.headers["receipt"])
        return frames

    def say(self, command: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.protocol.dataReceived(encode(command, named, b""))

    def deliver(self, number: str, subscription: str = "1") -> None:
        self.say("MESSAGE", subscription=subscription, ack=number, message_id=number, destination="/queue/a")

    def reconnect(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.clock.advance(LONGEST_DELAY)
        self.log_in()

    def _arrived(self, message: Frame, source: Source, epoch: int) -> None:
        self.arrived.append(Arrival(Job(message.headers["ack"], "alpha", "q", b"1"), message, source, epoch))


def commands(frames: list[Frame]) -> list[tuple[str, str]]:
    return [(frame.command, frame.headers["id"]) for frame in frames]


def test_only_the_connection_that_brought_a_message_settles_it() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.reconnect()
    bench.deliver("m-1")
    old, new = bench.arrived
    assert (bench.consumer.ack(old), bench.consumer.nack(old), bench.sent()) == (False, False, [])
    assert bench.source.unsettled == 1
    assert bench.consumer.ack(new)
    assert commands(bench.sent()) == [("ACK", "m-1")]
    assert bench.source.unsettled == 0


def test_a_source_that_shrinks_is_subscribed_to_anew() -> None:
    bench = Bench()
    bench.consumer.listen(bench.source, 90)
    bench.confirm()
    bench.consumer.shrink(bench.source, 5)
    frames = bench.confirm()
    assert commands(frames) == [("UNSUBSCRIBE", "1"), ("UNSUBSCRIBE", "2"), ("SUBSCRIBE", "3")]
    assert (frames[-1].headers["prefetch-count"], bench.source.prefetch) == ("5", 5)


def test_rabbitmq_leaves_here_what_was_on_its_way_when_a_source_shrank_so_that_it_can_be_settled() -> None:
    bench = Bench()
    bench.consumer.shrink(bench.source, 5)
    bench.deliver("m-1")
    bench.deliver("m-2")
    assert [bench.consumer.ack(arrival) for arrival in bench.arrived] == [True, True]
    assert commands(bench.sent()) == [
        *[("UNSUBSCRIBE", "1"), ("SUBSCRIBE", "2")],
        *[("SUBSCRIBE", "1"), ("ACK", "m-1"), ("ACK", "m-2")],
    ]


def test_activemq_gives_it_to_others() -> None:
    bench = Bench("ActiveMQ/5.17.2")
    bench.consumer.shrink(bench.source, 5)
    bench.deliver("m-1")
    assert (bench.arrived, bench.source.unsettled) == ([], 0)


def test_of_a_broker_that_may_do_either_a_source_stays_as_it_is() -> None:
    bench = Bench("artemis/2")
    bench.consumer.shrink(bench.source, 5)
    assert (bench.sent(), bench.source.prefetch) == ([], 10)
