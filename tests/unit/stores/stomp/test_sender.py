"""The sender: nothing counts as sent before the broker has confirmed it, over as many connections as that takes."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.stomp.errors import BrokerError, NotConnected
from snqd.stomp.frame import Frame
from snqd.stomp.login import Login
from snqd.stores.stomp.brokers import Broker, Brokers
from snqd.stores.stomp.sender import Outgoing, Sender
from tests.unit.stores.stomp.doubles import TOPOLOGY, BrokerEnd, job


class Bench(BrokerEnd):
    """A sender to the broker, and what became of what it sends."""

    def __init__(self) -> None:
        super().__init__()
        broker = Broker("the broker", self)  # type: ignore[arg-type]
        self.sender = Sender(self.clock, Brokers([broker], broker, Login()), Random(7), TOPOLOGY)
        self.ended: list[Any] = []
        self.sender.start()
        self.log_in()

    def send(self, *jobs: Outgoing) -> None:
        Deferred.fromCoroutine(self.sender.send(jobs)).addBoth(self.ended.append)

    def send_once(self, *jobs: Outgoing) -> None:
        Deferred.fromCoroutine(self.sender.send_once(jobs)).addBoth(self.ended.append)

    def send_surely(self, *jobs: Outgoing, wanted: bool = True) -> None:
        Deferred.fromCoroutine(self.sender.send_surely(jobs, lambda: wanted)).addBoth(self.ended.append)


ONE = Outgoing(job("a"))


def ids(frames: list[Frame]) -> list[str]:
    return [frame.headers["snq-id"] for frame in frames]


def test_sending_ends_when_all_is_confirmed() -> None:
    bench = Bench()
    bench.send(ONE, Outgoing(job("b")))
    first, second = bench.sent()
    bench.say("RECEIPT", receipt_id=second.headers["receipt"])
    assert bench.ended == []
    bench.say("RECEIPT", receipt_id=first.headers["receipt"])
    assert bench.ended == [None]


def test_nothing_more_is_sent_while_the_transport_takes_no_more() -> None:
    bench = Bench()
    bench.protocol.pauseProducing()
    bench.send(ONE)
    assert bench.sent() == []
    bench.protocol.resumeProducing()
    assert ids(bench.sent()) == ["a"]


def test_a_lost_connection_fails_what_it_has_not_confirmed() -> None:
    bench = Bench()
    bench.send(ONE)
    bench.lose()
    assert bench.ended[0].check(StoreUnavailable)


def test_a_lost_connection_leaves_in_doubt_what_was_sent_and_not_confirmed() -> None:
    bench = Bench()
    bench.send_once(ONE, Outgoing(job("b")))
    first, _ = bench.sent()
    bench.say("RECEIPT", receipt_id=first.headers["receipt"])
    bench.lose()
    (failure,) = bench.ended
    assert failure.check(Unconfirmed)
    assert (failure.value.accepted, failure.value.unknown) == (["a"], ["b"])


def test_what_was_not_sent_or_was_refused_alone_is_in_no_doubt() -> None:
    bench = Bench()
    bench.send_once(ONE)
    bench.sent()
    bench.say("ERROR", message="access refused")
    bench.lose()
    bench.send_once(ONE)
    refused, not_sent = bench.ended
    assert refused.check(BrokerError)
    assert not_sent.check(NotConnected)


def test_what_must_arrive_is_sent_again_over_the_next_connection() -> None:
    bench = Bench()
    bench.send_surely(ONE)
    bench.lose()
    assert bench.ended == []
    assert ids(bench.log_in()) == ["a"]
    assert bench.ended == [True]


def test_what_nobody_wants_any_more_is_not_sent() -> None:
    bench = Bench()
    bench.send_surely(ONE, wanted=False)
    assert (bench.sent(), bench.ended) == ([], [False])


def test_what_cannot_be_said_fails_and_is_not_waited_for() -> None:
    bench = Bench()
    bench.send_surely(attrs.evolve(ONE, destination="/queue/\0", job=job("a", attempt=2)))
    (failure,) = bench.ended
    assert failure.check(StoreError)
    assert bench.sender._watch._unconfirmed == 0


def test_one_refusal_is_no_reason_to_give_up_and_three_are() -> None:
    bench = Bench()
    bench.send_surely(ONE)
    for refusals in range(3):
        assert (refusals, bench.ended) == (refusals, [])
        bench.sent()
        bench.say("ERROR", message="access refused")
        bench.lose()
        bench.say("CONNECTED", version="1.2")
    (failure,) = bench.ended
    assert failure.check(StoreError)
    assert not failure.check(BrokerError)
