"""A consumer's side of its connections: what it may settle, and what it lets come."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred

from snqd.core.job import Job
from snqd.stomp.frame import Frame
from snqd.stomp.login import Login
from snqd.stores.stomp.consumer import ACK_PATIENCE, Arrival, Consumer, Source
from tests.unit.stores.stomp.doubles import BrokerEnd


class Bench(BrokerEnd):
    """A consumer on the broker."""

    def __init__(self, server: str = "RabbitMQ/3.10.8") -> None:
        super().__init__(server)
        self.arrived: list[Arrival] = []
        self.consumer = Consumer(
            self.clock,
            self,  # type: ignore[arg-type]
            Login(),
            Random(7),
            "the broker",
            "/queue/nowhere",
            self._arrived,
            lambda: None,
            lambda epoch: None,
        )
        self.source = Source("/queue/a", "main", self.consumer)
        self.consumer.listen(self.source, 10)
        self.consumer.start()
        self.log_in()

    def deliver(self, number: str, subscription: str = "1") -> None:
        self.say("MESSAGE", subscription=subscription, ack=number, message_id=number, destination="/queue/a")

    def _arrived(self, message: Frame, source: Source, epoch: int) -> None:
        self.arrived.append(Arrival(Job(message.headers["ack"], "alpha", "q", b"1"), message, source, epoch))


def commands(frames: list[Frame]) -> list[tuple[str, str]]:
    return [(frame.command, frame.headers["id"]) for frame in frames]


def test_only_the_connection_that_brought_a_message_settles_it() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.lose()
    bench.log_in()
    bench.deliver("m-1")
    old, new = bench.arrived
    assert (bench.consumer.ack(old), bench.consumer.nack(old), bench.sent()) == (False, False, [])
    assert bench.source.unsettled == 1
    assert bench.consumer.ack(new)
    bench.clock.advance(ACK_PATIENCE)
    assert commands(bench.sent()) == [("ACK", "m-1")]
    assert bench.source.unsettled == 0


def test_an_acknowledgement_waits_a_moment_for_others_to_go_with_it() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.consumer.ack(bench.arrived[0])
    assert bench.sent() == []
    bench.deliver("m-2")
    bench.consumer.ack(bench.arrived[1])
    bench.clock.advance(ACK_PATIENCE)
    assert commands(bench.sent()) == [("ACK", "m-1"), ("ACK", "m-2")]


def test_acknowledgements_go_out_before_the_broker_has_to_wait_for_them() -> None:
    bench = Bench()
    for number in range(3):
        bench.deliver(f"m-{number}")
    for arrival in bench.arrived[:2]:
        bench.consumer.ack(arrival)
    assert commands(bench.sent()) == []
    bench.consumer.ack(bench.arrived[2])
    assert commands(bench.sent()) == [("ACK", f"m-{number}") for number in range(3)]


def test_an_acknowledgement_that_must_be_sure_takes_the_others_along_and_is_confirmed() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.deliver("m-2")
    bench.consumer.ack(bench.arrived[0])
    sure: list[bool] = []
    Deferred.fromCoroutine(bench.consumer.ack_surely(bench.arrived[1])).addCallback(sure.append)
    frames = bench.sent()
    assert commands(frames) == [("ACK", "m-1"), ("ACK", "m-2")]
    assert sure == []
    bench.say("RECEIPT", receipt_id=frames[1].headers["receipt"])
    assert sure == [True]
    assert bench.source.unsettled == 0


def test_an_acknowledgement_that_the_broker_has_not_confirmed_when_it_is_lost_is_not_sure() -> None:
    bench = Bench()
    bench.deliver("m-1")
    sure: list[bool] = []
    for _ in range(2):
        Deferred.fromCoroutine(bench.consumer.ack_surely(bench.arrived[0])).addCallback(sure.append)
        bench.lose()
    assert sure == [False, False]


def test_where_few_messages_may_be_here_each_is_acknowledged_at_once() -> None:
    bench = Bench()
    bench.source.prefetch = 4
    bench.deliver("m-1")
    bench.consumer.ack(bench.arrived[0])
    assert commands(bench.sent()) == [("ACK", "m-1")]


def test_who_leaves_takes_along_what_waits_to_be_acknowledged() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.consumer.ack(bench.arrived[0])
    bench.consumer.stop()
    assert [frame.command for frame in bench.sent()] == ["ACK", "DISCONNECT"]


def test_a_source_that_shrinks_is_subscribed_to_anew() -> None:
    bench = Bench("ActiveMQ/5.17.2")
    bench.consumer.listen(bench.source, 90)
    bench.confirm()
    bench.consumer.shrink(bench.source, 5)
    frames = bench.confirm()
    assert commands(frames) == [("UNSUBSCRIBE", "1"), ("UNSUBSCRIBE", "2"), ("SUBSCRIBE", "3")]
    assert (frames[-1].headers["activemq.prefetchSize"], bench.source.prefetch) == ("5", 5)


def prefetches(frames: list[Frame]) -> list[tuple[str, str, str]]:
    return [(frame.command, frame.headers["id"], frame.headers.get("prefetch-count", "")) for frame in frames]


def test_on_rabbitmq_each_subscription_of_a_source_that_shrinks_begins_anew_in_the_write_that_ends_it() -> None:
    bench = Bench()
    bench.consumer.listen(bench.source, 90)
    bench.confirm()
    bench.transport.writes = 0
    bench.consumer.shrink(bench.source, 5)
    assert prefetches(bench.confirm()) == [
        *[("UNSUBSCRIBE", "1", ""), ("SUBSCRIBE", "1", "4")],
        *[("UNSUBSCRIBE", "2", ""), ("SUBSCRIBE", "2", "1")],
    ]
    assert (bench.transport.writes, bench.source.prefetch) == (1, 5)


def test_rabbitmq_leaves_here_what_was_on_its_way_when_a_source_shrank_so_that_it_can_be_settled() -> None:
    bench = Bench()
    bench.consumer.shrink(bench.source, 5)
    bench.deliver("m-1")
    bench.deliver("m-2")
    assert [bench.consumer.ack(arrival) for arrival in bench.arrived] == [True, True]
    assert commands(bench.sent()) == [("UNSUBSCRIBE", "1"), ("SUBSCRIBE", "1"), ("ACK", "m-1"), ("ACK", "m-2")]


def test_what_a_source_shrank_to_on_rabbitmq_is_no_less_than_its_subscriptions_and_does_not_change_again() -> None:
    bench = Bench()
    for _ in range(3):
        bench.consumer.listen(bench.source, 10)
    bench.consumer.shrink(bench.source, 2)
    assert bench.source.prefetch == 4
    bench.confirm()
    bench.consumer.shrink(bench.source, 2)
    assert bench.sent() == []


def test_a_source_that_grows_again_on_rabbitmq_has_no_more_subscriptions_than_before() -> None:
    bench = Bench()
    bench.consumer.listen(bench.source, 90)
    bench.consumer.shrink(bench.source, 5)
    bench.confirm()
    bench.consumer.listen(bench.source, 5)
    assert prefetches(bench.sent()) == [("UNSUBSCRIBE", "2", ""), ("SUBSCRIBE", "2", "6")]
    assert bench.source.prefetch == 10


def test_activemq_gives_it_to_others() -> None:
    bench = Bench("ActiveMQ/5.17.2")
    bench.consumer.shrink(bench.source, 5)
    bench.deliver("m-1")
    assert (bench.arrived, bench.source.unsettled) == ([], 0)


def test_of_a_broker_that_may_do_either_a_source_stays_as_it_is() -> None:
    bench = Bench("artemis/2")
    bench.consumer.shrink(bench.source, 5)
    assert (bench.sent(), bench.source.prefetch) == ([], 10)


def receiving(frames: list[Frame]) -> list[tuple[str, str, str]]:
    return [
        (frame.command, frame.headers["id"], frame.headers.get("destination", "").removeprefix("/queue/"))
        for frame in frames
    ]


def test_what_goes_back_to_rabbitmq_goes_while_its_subscriptions_listen_to_nothing() -> None:
    bench = Bench()
    bench.consumer.listen(bench.source, 90)
    bench.confirm()
    for number in range(3):
        bench.deliver(f"m-{number}")
    bench.transport.writes = 0
    bench.consumer.give_back(bench.source, bench.arrived[1:], shut=False)
    frames = bench.confirm()
    assert receiving(frames) == [
        *[("UNSUBSCRIBE", "1", "a"), ("SUBSCRIBE", "1", "nowhere")],
        *[("UNSUBSCRIBE", "2", "a"), ("SUBSCRIBE", "2", "nowhere")],
        *[("NACK", "m-1", ""), ("NACK", "m-2", "")],
        *[("UNSUBSCRIBE", "1", "a"), ("SUBSCRIBE", "1", "a")],
    ]
    assert (frames[-1].headers["prefetch-count"], bench.transport.writes) == ("1", 1)
    assert (bench.source.prefetch, bench.source.unsettled, bench.source.most) == (1, 1, 2)


def test_what_stays_here_when_others_go_back_can_be_settled_and_takes_room_until_then() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.consumer.give_back(bench.source, [], shut=True)
    assert (bench.source.is_shut, bench.source.is_full, bench.source.most) == (True, True, 1)
    bench.clock.advance(1)
    assert bench.consumer.ack(bench.arrived[0])
    assert (bench.sent()[-1].command, bench.source.most) == ("ACK", 0)


def test_a_source_that_is_opened_again_brings_one_message_and_more_when_they_are_wanted() -> None:
    bench = Bench()
    bench.consumer.give_back(bench.source, [], shut=True)
    bench.confirm()
    bench.consumer.reopen(bench.source)
    assert receiving(bench.confirm()) == [("UNSUBSCRIBE", "1", "a"), ("SUBSCRIBE", "1", "a")]
    bench.consumer.listen(bench.source, 9)
    frames = bench.confirm()
    assert prefetches(frames) == [("UNSUBSCRIBE", "1", ""), ("SUBSCRIBE", "1", "10")]
    assert bench.source.prefetch == 10


def test_a_source_that_is_shut_stays_so_on_the_next_connection() -> None:
    bench = Bench()
    bench.deliver("m-1")
    bench.consumer.give_back(bench.source, [], shut=True)
    bench.lose()
    assert receiving(bench.log_in()) == [("SUBSCRIBE", "1", "nowhere")]
    assert (bench.source.unsettled, bench.source.most) == (0, 0)
