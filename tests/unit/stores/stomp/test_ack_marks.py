"""AckMarks: when a queue gets a mark, and when not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from snqd.stomp.errors import NotConnected
from snqd.stores.stomp.ack_marks import MARK_EVERY, AckMarks
from snqd.stores.stomp.dialects import ActiveMq, BrokerDialect, RabbitMq


class Sender:
    peer: Any = "broker"

    def __init__(self) -> None:
        self.marks: list[tuple[str, Deferred[None]]] = []

    def mark(self, destination: str) -> Deferred[None]:
        self.marks.append((destination, Deferred()))
        return self.marks[-1][1]

    def marked(self) -> list[str]:
        return [destination for destination, _ in self.marks]


class Consumer:
    peer: Any = "broker"

    def __init__(self, dialect: BrokerDialect) -> None:
        self.dialect = dialect
        self.acked: list[str] = []

    def take_acked(self) -> list[str]:
        acked, self.acked = self.acked, []
        return acked


def bench(dialect: BrokerDialect) -> tuple[Clock, Sender, Consumer]:
    clock, sender, consumer = Clock(), Sender(), Consumer(dialect)
    AckMarks(clock, sender, [consumer]).start()  # type: ignore[arg-type,list-item]
    return clock, sender, consumer


def test_a_queue_is_marked_while_jobs_of_it_are_acknowledged() -> None:
    clock, sender, consumer = bench(RabbitMq())
    clock.advance(MARK_EVERY)
    assert sender.marked() == []
    consumer.acked = ["/queue/a", "/queue/b"]
    clock.advance(MARK_EVERY)
    assert sender.marked() == ["/queue/a", "/queue/b"]


def test_there_is_no_further_mark_before_all_are_confirmed_or_lost() -> None:
    clock, sender, consumer = bench(RabbitMq())
    consumer.acked = ["/queue/a", "/queue/b"]
    clock.advance(MARK_EVERY)
    sender.marks[0][1].callback(None)
    consumer.acked = ["/queue/a"]
    clock.advance(MARK_EVERY)
    assert len(sender.marks) == 2
    sender.marks[1][1].errback(NotConnected("lost"))
    clock.advance(MARK_EVERY)
    assert sender.marked() == ["/queue/a", "/queue/b", "/queue/a"]


def test_a_broker_that_the_sender_is_not_connected_to_gets_none() -> None:
    clock, sender, consumer = bench(RabbitMq())
    consumer.acked = ["/queue/a"]
    for mine, theirs in (("one", "two"), (None, None), ("one", None)):
        sender.peer, consumer.peer = mine, theirs
        clock.advance(MARK_EVERY)
    assert sender.marked() == []


def test_a_broker_that_writes_acknowledgements_at_once_gets_none() -> None:
    clock, sender, consumer = bench(ActiveMq())
    consumer.acked = ["/queue/a"]
    clock.advance(MARK_EVERY)
    assert sender.marked() == []
