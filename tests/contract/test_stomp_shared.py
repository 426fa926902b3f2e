"""Destinations that snqd shares with others, on real brokers: breakouts, and messages that PHP's daemons can read."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from snqd.config.stomp_servers import StompSettings
from snqd.config.values import PHP_BASE64
from snqd.core.errors import BadPayload
from snqd.core.job import PHP
from snqd.stores.interface import Want
from snqd.stores.stomp.blocking import StompQueue
from snqd.stores.stomp.shared_state import FileSharedState
from snqd.stores.stomp.topology import Topology
from snqd.wire.payload import decode
from tests.patience import until
from tests.servers.php_daemon import GNUSOCIAL, STATUSNET, Kind, PhpDaemon, send


def places(bench: Any) -> tuple[str, str, str]:
    """The destinations of the group, of queue q, and of alpha's share of it, as this broker has them."""
    own = "%2F" if bench.kind == "rabbitmq" else "/"
    base = bench.topology.base
    return f"{base}main", f"{base}main{own}q", f"{base}main{own}q{own}alpha"


BREAKOUTS = {("q", ""): "main/q", ("q", "alpha"): "main/q/alpha"}


# Breakouts


@ensureDeferred
async def test_a_job_goes_to_its_sites_breakout_else_its_queues_else_the_groups(broker_bench: Any) -> None:
    broker_bench.breakouts = BREAKOUTS
    broker_bench.wire = PHP
    one = await broker_bench.process()
    await one.enqueue(
        broker_bench.job("alpha", "q", body=b"1"),
        broker_bench.job("beta", "q", body=b"2"),
        broker_bench.job("alpha", "r", body=b"3"),
    )
    for place, queue, payload in zip(places(broker_bench), "rqq", (3, 2, 1), strict=True):
        php = await deferToThread(PhpDaemon, broker_bench.broker, [place], ["q", "r"])
        await until(lambda php=php: bool(php.handled))
        await deferToThread(php.stop)
        assert php.handled == [(queue, payload)]


@ensureDeferred
async def test_the_children_of_the_group_take_from_all_its_breakouts(broker_bench: Any) -> None:
    broker_bench.breakouts = BREAKOUTS
    one = await broker_bench.process()
    jobs = [broker_bench.job(site, queue) for site in ("alpha", "beta") for queue in ("q", "r") for _ in range(30)]
    await one.enqueue(*jobs)
    claimed = (await one.store.claim({"q": Want(100), "r": Want(100)})).jobs
    assert sorted(each.job.id for each in claimed) == sorted(job.id for job in jobs)
    assert await gatherResults([one.store.ack(each.receipt) for each in claimed]) == [True] * len(jobs)


@ensureDeferred
async def test_breakouts_come_and_go_while_a_process_works(broker_bench: Any) -> None:
    one, two = await broker_bench.process(), await broker_bench.process()
    assert await one.claim() == []
    broker_bench.breakouts = BREAKOUTS
    left = [broker_bench.job("alpha"), broker_bench.job("beta")]
    await two.enqueue(*left)
    first = await one.claim(10)
    assert sorted(each.job.id for each in first) == sorted(job.id for job in left)
    assert await gatherResults([one.store.ack(each.receipt) for each in first]) == [True, True]
    await two.enqueue(late := broker_bench.job("alpha"))
    broker_bench.breakouts = {}
    await two.enqueue(new := broker_bench.job("alpha"))
    claimed = await one.claim(10)
    assert sorted(each.job.id for each in claimed) == sorted([late.id, new.id])


@ensureDeferred
async def test_a_job_whose_queue_has_gone_over_to_another_group_follows_it(broker_bench: Any) -> None:
    one, two = await broker_bench.process(), await broker_bench.process()
    await one.enqueue(moved := broker_bench.job(queue="r"), stays := broker_bench.job())
    broker_bench.groups = {"r": "other"}
    (claimed,) = await one.claim()
    assert claimed.job.id == stays.id
    (claimed,) = await two.claim(queue="r")
    assert claimed.job.id == moved.id
    assert await two.store.ack(claimed.receipt)


@ensureDeferred
async def test_what_a_process_holds_already_follows_its_queue_too(broker_bench: Any) -> None:
    one, two = await broker_bench.process(), await broker_bench.process()
    jobs = broker_bench.jobs(5, queue="r")
    await one.enqueue(*jobs)
    wants = {"q": Want(10), "r": Want(1)}
    await one.store.claim(wants)
    await until(lambda: len(one.store.inspect().waiting) >= 4)
    broker_bench.groups, broker_bench.breakouts = {"r": "other"}, {}
    await one.store.claim({"q": Want(10)})
    claimed = await two.claim(queue="r")
    assert {each.job.id for each in claimed} == {job.id for job in jobs} - {
        job.id for job in one.store.inspect().in_hand
    }


@ensureDeferred
async def test_a_later_gnu_socials_breakouts_have_colons(broker_bench: Any) -> None:
    broker_bench.breakouts = {("q", ""): "main:q"}
    one = await broker_bench.process()
    assert await one.claim() == []
    await deferToThread(send, broker_bench.broker, f"{broker_bench.topology.base}main:q", "alpha", "q", 7, GNUSOCIAL)
    (claimed,) = await one.claim()
    assert decode(claimed.job.body, claimed.job.encoding) == 7


# Wires

PAYLOAD = b'{"id":7,"text":"caf\xc3\xa9","list":[1.5,null,true],"deep":{"a":{"1":"x"}}}'
AS_PHP = {"id": 7, "text": "café", "list": {0: 1.5, 1: None, 2: True}, "deep": {"a": {1: "x"}}}
WIRES = [(PHP, STATUSNET), (PHP_BASE64, GNUSOCIAL)]


@pytest.mark.parametrize(("wire", "kind"), WIRES)
@ensureDeferred
async def test_a_php_daemon_handles_what_is_enqueued(broker_bench: Any, wire: str, kind: Kind) -> None:
    broker_bench.wire = wire
    one = await broker_bench.process()
    await one.enqueue(broker_bench.job(body=PAYLOAD), broker_bench.job(body=b"12345", encoding=PHP))
    settings = StompSettings((f"127.0.0.1:{broker_bench.broker.port}",), "guest", "guest")
    queue = StompQueue(settings, broker_bench.topology, FileSharedState(broker_bench.folder / "morgue.db"), wire)
    queue.enqueue([broker_bench.job(body=b'"from a program"')])
    queue.close()
    php = await deferToThread(PhpDaemon, broker_bench.broker, [places(broker_bench)[0]], ["q"], kind)
    await until(lambda: len(php.handled) + len(php.dropped) == 3)
    await deferToThread(php.stop)
    assert php.handled == [("q", AS_PHP), ("q", 12345), ("q", "from a program")]


@pytest.mark.parametrize("wire", [PHP, PHP_BASE64])
@ensureDeferred
async def test_a_job_keeps_its_payload_over_retries_delays_and_the_solo_queue(broker_bench: Any, wire: str) -> None:
    broker_bench.wire = wire
    one = await broker_bench.process()
    await one.enqueue(broker_bench.job(body=PAYLOAD))
    (first,) = await one.claim()
    assert first.job.encoding == PHP
    value = decode(first.job.body, PHP)
    assert value["deep"] == {"a": {1: "x"}}
    assert await one.store.retry(first.receipt, 0.0, "once more") is True
    (again,) = await one.claim()
    assert (again.job.attempt, again.job.body) == (2, first.job.body)
    await one.enqueue(broker_bench.job(body=PAYLOAD, not_before=time.time() + 1.2))
    await broker_bench.close(one)
    two = await broker_bench.process()
    assert await two.store.recover("another", [again.job.id], "killed") == 1
    seen = {}
    while len(seen) < 2:
        for each in [*(await two.claim()), *(await two.store.claim_solo({"q"})).jobs]:
            seen[each.job.id] = each.job
            assert await two.store.ack(each.receipt)
    assert seen[again.job.id].solo
    assert seen[again.job.id].body == first.job.body
    (delayed,) = (job for job in seen.values() if not job.solo)
    assert decode(delayed.body, delayed.encoding)["text"] == "café"


@ensureDeferred
async def test_a_retried_job_never_meets_a_php_daemon_which_would_forget_its_attempts(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(*broker_bench.jobs(5))
    claimed = await one.claim()
    php = await deferToThread(PhpDaemon, broker_bench.broker, [places(broker_bench)[0]], ["q"])
    assert await gatherResults([one.store.retry(each.receipt, 0.0, "at once") for each in claimed]) == [True] * 5
    assert [each.job.attempt for each in await one.claim()] == [2] * 5
    await deferToThread(php.stop)
    assert (php.handled, php.dropped) == ([], [])


@ensureDeferred
async def test_what_php_could_not_read_is_refused_before_it_is_sent(broker_bench: Any) -> None:
    broker_bench.wire = PHP
    one = await broker_bench.process()
    with pytest.raises(BadPayload, match="holds a NUL"):
        await one.store.enqueue([broker_bench.job(body=b'"a\\u0000b"')])
    with pytest.raises(BadPayload, match="does not fit into PHP's 64 bits"):
        await one.store.enqueue([broker_bench.job(body=b"[9223372036854775808]")])
    assert await one.claim() == []


def test_the_double_of_phps_daemon_cuts_at_a_nul_as_php_does() -> None:
    php = PhpDaemon.__new__(PhpDaemon)
    pieces = [b"MESSAGE\na:1\n\nx\0y\0\n", b""]
    php._receive = lambda: pieces.pop(0)  # type: ignore[method-assign]
    assert list(php._frames()) == [b"MESSAGE\na:1\n\nx", b"y"]


def test_names_of_breakouts_begin_with_the_farms_base() -> None:
    topology = Topology("/queue/statusnet/", lambda queue: "main", lambda: BREAKOUTS)
    assert topology.of_job("q", "alpha") == "/queue/statusnet/main/q/alpha"
