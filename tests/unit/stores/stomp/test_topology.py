"""What destinations are called, and what brokers make of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.stomp.frame import Frame
from snqd.stores.stomp.dialects import ActiveMq, Plain, RabbitMq, dialect_of
from snqd.stores.stomp.topology import LANES, RUNGS, Topology, rung_for

TOPOLOGY = Topology("/queue/snqd.", {"a": "main", "b": "xmpp"}.__getitem__)


def test_jobs_go_to_the_group_of_their_queue() -> None:
    assert TOPOLOGY.of_job("b", "alpha") == "/queue/snqd.xmpp"


BREAKOUTS = {("a", ""): "main/a", ("a", "alpha"): "main/a/alpha", ("b", "beta"): "xmpp:b:beta"}


def test_a_sites_own_breakout_comes_before_its_queues_and_that_before_the_group() -> None:
    topology = Topology("/queue/snqd.", {"a": "main", "b": "xmpp"}.__getitem__, lambda: BREAKOUTS)
    assert topology.of_job("a", "alpha") == "/queue/snqd.main/a/alpha"
    assert topology.of_job("a", "beta") == "/queue/snqd.main/a"
    assert topology.of_job("b", "alpha") == "/queue/snqd.xmpp"
    assert topology.of_job("b", "beta") == "/queue/snqd.xmpp:b:beta"


def test_the_children_of_a_group_take_from_its_breakouts() -> None:
    topology = Topology("/queue/snqd.", {"a": "main", "b": "xmpp"}.__getitem__, lambda: BREAKOUTS)
    assert list(topology.breakouts_of("main")) == [("/queue/snqd.main/a", False), ("/queue/snqd.main/a/alpha", True)]
    assert list(topology.breakouts_of("xmpp")) == [("/queue/snqd.xmpp:b:beta", True)]
    assert RabbitMq().destination("/queue/snqd.main/a/alpha") == "/queue/snqd.main%2Fa%2Falpha"


def test_what_snqd_keeps_for_itself_is_named_under_the_farms_base() -> None:
    names = [TOPOLOGY.due("main"), TOPOLOGY.delay("main", 4), TOPOLOGY.solo("main"), *TOPOLOGY.lanes("main")]
    assert names[:3] == ["/queue/snqd.snq.main.due", "/queue/snqd.snq.main.delay-4s", "/queue/snqd.snq.main.solo"]
    assert len(set(names)) == 3 + LANES
    assert TOPOLOGY.lane("main", "alpha") in names


def test_each_pause_has_a_queue_of_its_own() -> None:
    keys = [("q", ""), ("", "q"), ("q", "s")]
    assert len({TOPOLOGY.paused("main", *key) for key in keys}) == 3


@given(st.floats(0, 1e6))
def test_a_rung_never_holds_too_long_and_the_rest_of_the_way_is_shorter(seconds: float) -> None:
    rung = rung_for(seconds)
    if rung is None:
        assert seconds < 1
    else:
        assert rung in RUNGS
        assert rung <= seconds
        assert seconds - rung < rung or rung == RUNGS[-1]


SERVERS = [("RabbitMQ/3.10.8", RabbitMq), ("ActiveMQ/5.17.2", ActiveMq), ("artemis/2", Plain), (None, Plain)]


@pytest.mark.parametrize(("server", "kind"), SERVERS)
def test_a_broker_is_known_by_what_it_calls_itself(server: str | None, kind: type[Any]) -> None:
    headers = {} if server is None else {"server": server}
    assert isinstance(dialect_of(Frame("CONNECTED", headers)), kind)


def test_rabbitmq_takes_no_slash_within_a_name() -> None:
    assert RabbitMq().destination("/queue/statusnet/main") == "/queue/statusnet%2Fmain"
    assert RabbitMq().destination("/topic/control") == "/topic/control"
    assert ActiveMq().destination("/queue/statusnet/main") == "/queue/statusnet/main"


def test_rabbitmq_delays_by_expiry_into_a_queue_that_must_exist() -> None:
    target = RabbitMq().delayed(TOPOLOGY, "main", 5.9)
    assert target is not None
    assert target.destination == "/queue/snqd.snq.main.delay-4s"
    assert target.needs == "/queue/snqd.snq.main.due"
    assert target.headers == {
        "x-message-ttl": "4000",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "snqd.snq.main.due",
    }
    assert RabbitMq().delayed(TOPOLOGY, "main", 0.9) is None


def test_the_routing_key_is_the_queues_name_without_escapes() -> None:
    target = RabbitMq().delayed(Topology("/queue/statusnet/", str), "main", 1.0)
    assert target is not None
    assert target.destination == "/queue/statusnet%2Fsnq.main.delay-1s"
    assert target.headers["x-dead-letter-routing-key"] == "statusnet/snq.main.due"


def test_activemq_delays_by_its_scheduler() -> None:
    target = ActiveMq().delayed(TOPOLOGY, "main", 5.9)
    assert target is not None
    assert target.headers == {"AMQ_SCHEDULED_DELAY": "5900"}
    assert ActiveMq().delayed(TOPOLOGY, "main", 0.0001) is None


def test_activemq_is_given_no_delay_that_it_can_not_count() -> None:
    target = ActiveMq().delayed(TOPOLOGY, "main", 1e18)
    assert target is not None
    assert int(target.headers["AMQ_SCHEDULED_DELAY"]) < 2**32


def test_any_other_broker_delays_nothing() -> None:
    assert Plain().delayed(TOPOLOGY, "main", 5.0) is None
    assert Plain().destination("/queue/a/b") == "/queue/a/b"
    assert set(Plain().prefetch(5).values()) == {"5"}
