"""The contract as a store on brokers can keep it, and what becomes of it when connections and brokers die."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from snqd.config.stomp_servers import StompSettings
from snqd.core.errors import StoreUnavailable
from snqd.core.job import PHP
from snqd.stores.interface import Pauses, Want
from snqd.stores.morgue.morgue import Letter, SqliteMorgue
from snqd.stores.stomp.blocking import StompQueue
from snqd.stores.stomp.shared_state import FileSharedState
from snqd.wire.envelope import read_capture
from snqd.wire.payload import decode
from tests.contract.bench import ids
from tests.patience import slowness, until

SAMPLES = Path(__file__).parents[1] / "samples"


def letters(bench: Any) -> list[Letter]:
    morgue = SqliteMorgue(bench.folder / "morgue.db")
    try:
        return list(morgue.list()) if morgue.exists() else []
    finally:
        morgue.close()


# Delays


@ensureDeferred
async def test_a_delayed_job_is_not_early_and_at_most_a_second_late(broker_bench: Any) -> None:
    one = await broker_bench.process()
    dues = {}
    for delay in (0.6, 1.4, 2.7):
        job = broker_bench.job(not_before=time.time() + delay)
        dues[job.id] = job.not_before
        await one.enqueue(job)
    arrived: dict[str, float] = {}
    while len(arrived) < 3:
        for claimed in await one.claim():
            arrived[claimed.job.id] = time.time()
            assert (claimed.job.attempt, claimed.job.not_before) == (1, 0.0)
            assert await one.store.ack(claimed.receipt)
    for job_id, due in dues.items():
        assert due <= arrived[job_id] < due + 2 * slowness()  # a second of it is the suite's own patience


@ensureDeferred
async def test_a_retry_runs_as_the_next_attempt_with_its_reason_and_not_early(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(broker_bench.job())
    (claimed,) = await one.claim()
    due = time.time() + 1.5
    assert await one.store.retry(claimed.receipt, 1.5, "the mirror:\nis busy") is True
    assert (await one.store.inner.claim({"q": Want(10)})).jobs == []  # not patiently, lest it is due meanwhile
    (again,) = await one.claim_when_due()
    assert time.time() >= due
    assert (again.job.id, again.job.attempt, again.job.reason) == (claimed.job.id, 2, "the mirror:\nis busy")
    assert await one.store.ack(claimed.receipt) is False


# SettlementQueue


@ensureDeferred
async def test_what_is_acknowledged_does_not_come_back_and_its_follow_ups_are_there(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(*broker_bench.jobs(3))
    first, second, third = await one.claim()
    follow_up = broker_bench.job("beta", "later", id=f"{first.job.id}.1")
    answers = [one.store.ack(first.receipt, [follow_up]), one.store.ack(second.receipt)]
    assert await gatherResults(answers) == [True, True]
    await broker_bench.close(one)
    two = await broker_bench.process()
    claim = await two.store.claim({"q": Want(10), "later": Want(10)})
    assert sorted(ids(claim.jobs)) == sorted([third.job.id, follow_up.id])


@ensureDeferred
async def test_a_receipt_of_an_earlier_connection_settles_nothing(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(*broker_bench.jobs(4))
    old = await one.claim()
    await one.store.lose_connection()
    new = await one.claim()
    assert sorted(ids(new)) == sorted(ids(old))
    assert await one.store.ack(old[0].receipt, [broker_bench.job(queue="later")]) is False
    assert await one.store.retry(old[1].receipt, 0.0, "late") is False
    await one.store.give_back([old[2].receipt])
    assert await one.claim(queue="later") == []
    assert await gatherResults([one.store.ack(each.receipt) for each in new]) == [True] * 4
    await broker_bench.close(one)
    assert await (await broker_bench.process()).claim() == []


@ensureDeferred
async def test_jobs_given_back_come_again_as_the_same_attempt(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(*broker_bench.jobs(3))
    claimed = await one.claim()
    await one.store.give_back([each.receipt for each in claimed])
    again = await until(one.claim)
    assert sorted(ids(again)) == sorted(ids(claimed))
    assert {each.job.attempt for each in again} == {1}
    assert await one.store.ack(claimed[0].receipt) is False


# Order


@ensureDeferred
async def test_one_process_keeps_each_sites_order_over_retries_and_returns(broker_bench: Any) -> None:
    one = await broker_bench.process()
    jobs = broker_bench.jobs(4)
    await one.enqueue(*jobs)
    done: list[str] = []
    turns = 0
    while len(done) < 4:
        turns += 1
        claim = await one.store.claim({"q": Want(10, ordered=True)})
        for claimed in claim.jobs:
            if claimed.job.attempt == 1:
                await one.store.retry(claimed.receipt, 0.2, "not the first time")
            elif turns % 3 == 0:
                await one.store.give_back([claimed.receipt])
            else:
                await one.store.ack(claimed.receipt)
                done.append(claimed.job.id)
        assert len(claim.jobs) <= 1
    assert done == [job.id for job in jobs]


# Pauses


PAUSES = [
    ("q", None, Pauses(queues=frozenset({"q"})), [("r", "alpha"), ("r", "beta")]),
    (None, "alpha", Pauses(sites=frozenset({"alpha"})), [("q", "beta"), ("r", "beta")]),
    ("q", "alpha", Pauses(shares=frozenset({("q", "alpha")})), [("q", "beta"), ("r", "alpha"), ("r", "beta")]),
]


@pytest.mark.parametrize(("queue", "site", "pauses", "left"), PAUSES, ids=["queue", "site", "share"])
@ensureDeferred
async def test_what_is_paused_waits_until_it_is_resumed(
    broker_bench: Any, queue: str | None, site: str | None, pauses: Pauses, left: list[tuple[str, str]]
) -> None:
    one, two = await broker_bench.process(), await broker_bench.process()
    await two.store.pause(queue, site, True)
    assert await one.store.pauses() == pauses
    await one.enqueue(*(broker_bench.job(site, queue) for queue in ("q", "r") for site in ("alpha", "beta")))
    wants = {"q": Want(10), "r": Want(10)}
    taken = (await one.store.claim(wants)).jobs
    assert sorted((each.job.queue, each.job.site) for each in taken) == left
    assert await gatherResults([one.store.ack(each.receipt) for each in taken]) == [True] * len(left)
    await broker_bench.close(one)
    three = await broker_bench.process()
    assert (await three.store.claim(wants)).jobs == []
    await two.store.pause(queue, site, False)
    assert await three.store.pauses() == Pauses()

    async def claim() -> Any:
        return (await three.store.claim(wants)).jobs

    assert len(await until(claim)) == 4 - len(left)


@ensureDeferred
async def test_what_is_given_back_after_a_pause_waits_for_its_end_as_the_same_attempt(broker_bench: Any) -> None:
    one = await broker_bench.process()
    jobs = broker_bench.jobs(3)
    await one.enqueue(*jobs)
    claimed = await one.claim()
    await one.store.pause("q", None, True)
    await one.store.give_back([each.receipt for each in claimed])
    assert (await one.store.claim({"q": Want(10)})).jobs == []
    await one.store.pause("q", None, False)
    again = await until(one.claim)
    assert ids(again) == [job.id for job in jobs]
    assert {each.job.attempt for each in again} == {1}


# What other programs send


def send_raw(bench: Any, frame: bytes) -> None:
    """A bare STOMP 1.0 session that sends one frame and hangs up, as PHP's clients do."""
    broker = bench.broker
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as connection:
        connection.sendall(f"CONNECT\nlogin:{broker.username}\npasscode:{broker.password}\n\n\0".encode())
        assert connection.recv(9) == b"CONNECTED"
        # No receipt was captured, and what follows a NUL is an error to the broker, after which it hangs up itself.
        connection.sendall(frame + b"\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def captured() -> list[Path]:
    return sorted(path for path in SAMPLES.glob("*/frames/*-SEND-*.bin") if len(path.stem.split("-")) > 5)


@ensureDeferred
async def test_what_php_sends_becomes_jobs_or_dead_letters_with_their_bytes(broker_bench: Any) -> None:
    one = await broker_bench.process()
    target = broker_bench.topology.of_group("main").encode()
    for path in captured():
        head, _, body = path.read_bytes().partition(b"\n\n")
        lines = [b"destination: " + target if line.startswith(b"destination:") else line for line in head.split(b"\n")]
        send_raw(broker_bench, b"\n".join(lines) + b"\n\n" + body.rstrip(b"\n"))
    queues = ("distrib", "ostatus", "ping", "peernoop")
    claimed = (await one.store.claim({queue: Want(50) for queue in queues})).jobs
    whole = [path for path in captured() if "hasNUL" not in path.stem]
    assert sorted(each.job.queue for each in claimed) == sorted(path.stem.split("-")[4] for path in whole)
    for each in claimed:
        assert each.job.encoding == PHP
        assert each.job.site
        assert len(each.job.id) == 64
        decode(each.job.body, each.job.encoding)
    assert {each.job.created for each in claimed} & {0.0} == set()
    # What the broker has cut at a NUL can't be read: it is kept as it came.
    cut = [read_capture(path.read_bytes()).body.partition(b"\0")[0] for path in captured() if "hasNUL" in path.stem]
    assert {letter.body for letter in await until(lambda: letters(broker_bench))} == set(cut)


@ensureDeferred
async def test_a_message_that_is_no_job_becomes_a_dead_letter_and_does_not_come_back(broker_bench: Any) -> None:
    one = await broker_bench.process()
    target = broker_bench.topology.of_group("main").encode()
    send_raw(broker_bench, b"SEND\ndestination: " + target + b"\npersistent: true\n\nwhat is this\0")
    assert await one.claim() == []
    (letter,) = await until(lambda: letters(broker_bench))
    assert letter.body == b"what is this"
    assert await until(lambda: broker_bench.bad_items) == [("main", "")]
    assert "no envelope of site, queue and payload" in letter.reason
    await broker_bench.close(one)
    assert await (await broker_bench.process()).claim() == []


@ensureDeferred
async def test_json_that_another_program_wrote_in_its_own_way_is_a_job(broker_bench: Any) -> None:
    one = await broker_bench.process()
    target = broker_bench.topology.of_group("main").encode()
    body = b'{ "payload": {"id": 7}, "handler": "q", "site": "alpha" }'
    send_raw(broker_bench, b"SEND\ndestination:" + target + b"\n\n" + body + b"\0")
    (claimed,) = await one.claim()
    assert (claimed.job.site, claimed.job.queue) == ("alpha", "q")
    assert decode(claimed.job.body, claimed.job.encoding) == {"id": 7}


# Programs without a reactor


@ensureDeferred
async def test_a_program_without_a_reactor_enqueues_and_pauses(broker_bench: Any) -> None:
    one = await broker_bench.process()
    broker = broker_bench.broker
    settings = StompSettings((f"tcp://127.0.0.1:{broker.port}",), broker.username, broker.password)
    queue = StompQueue(settings, broker_bench.topology, FileSharedState(broker_bench.folder / "morgue.db"))
    jobs = [*broker_bench.jobs(3), broker_bench.job(not_before=time.time() + 1.2)]
    queue.enqueue(jobs)
    queue.pause("r", None, True)
    assert queue.pauses() == Pauses(queues=frozenset({"r"}))
    queue.close()
    assert ids(await one.claim(3)) == ids_of(jobs[:3])
    assert ids(await one.claim_when_due()) == ids_of(jobs[3:])


def ids_of(jobs: list[Any]) -> list[str]:
    return [job.id for job in jobs]


# Floods


@ensureDeferred
async def test_a_flood_goes_to_its_lane_and_lets_others_through(broker_bench: Any) -> None:
    one = await broker_bench.process()
    flood = broker_bench.jobs(400, "loud")
    await one.enqueue(*flood)
    in_hand = await one.claim(20)
    quiet = broker_bench.job("quiet")
    await one.enqueue(quiet)

    # Its slots stay full with the loud site's jobs, until one is free.
    def has_come() -> bool:
        return any(job.id == quiet.id for job in one.store.inspect().waiting)

    await until(has_come)
    await one.store.ack(in_hand[0].receipt)
    assert ids(await one.claim(1, held={"loud": 19})) == [quiet.id]
    for each in in_hand[1:]:
        assert await one.store.ack(each.receipt)
    handled = {each.job.id for each in in_hand}
    while len(handled) < 400:
        claimed = await one.claim(100)
        assert claimed
        assert await gatherResults([one.store.ack(each.receipt) for each in claimed]) == [True] * len(claimed)
        handled |= set(ids(claimed))
    assert handled == {job.id for job in flood}


# How much one process may hold


@ensureDeferred
async def test_a_process_at_rest_leaves_to_others_what_it_held_while_it_was_busy(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.enqueue(*broker_bench.jobs(200))
    assert all(await gatherResults([one.store.ack(each.receipt) for each in await one.claim(200)]))
    (main,) = [source for source in one.store.inspect().sources if source.sifted]
    assert main.prefetch >= 200
    await one.store.listens()
    await until(lambda: one.store.inner.claim({"q": Want(10)}).addCallback(lambda _: main.prefetch == 10))
    two = await broker_bench.process()
    await two.store.listens()
    await two.enqueue(*broker_bench.jobs(60))
    assert len(await two.claim(50)) == 50
    assert len(await one.claim(10)) == 10


@ensureDeferred
async def test_what_is_on_its_way_when_a_process_takes_less_is_settled_all_the_same(broker_bench: Any) -> None:
    one = await broker_bench.process()
    await one.store.listens()
    (main,) = [source for source in one.store.inspect().sources if source.sifted]
    jobs = broker_bench.jobs(40)
    main.consumer.listen(main, 9)
    one.store.listening.hold()
    await one.enqueue(*jobs)
    await deferLater(reactor, 0.2)  # ten of them lie in the socket's buffer by now
    main.consumer.shrink(main, 5)
    one.store.listening.go_on()
    handled: list[str] = []
    while len(handled) < len(jobs):
        claimed = await one.claim(20)
        assert all([await one.store.ack(each.receipt) for each in claimed])
        handled += ids(claimed)
    assert sorted(handled) == sorted(job.id for job in jobs)
    await broker_bench.close(one)
    assert await (await broker_bench.process()).claim() == []


# Queues that nobody serves


@ensureDeferred
async def test_jobs_of_a_queue_without_a_handler_keep_no_others_out_and_run_when_it_has_one(
    broker_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snqd.stores.stomp.intake.MAX_PREFETCH", 100)
    broker_bench.unserved.add("strange")
    one = await broker_bench.process()
    strange = broker_bench.jobs(150, queue="strange")
    await one.enqueue(*strange, broker_bench.job())
    assert len(await until(one.claim)) == 1
    broker_bench.unserved.clear()
    broker_bench.breakouts = {}  # another configuration
    two = await broker_bench.process()  # one that has not seen them
    handled: set[str] = set()
    while len(handled) < len(strange):
        for process in (one, two):
            claim = await process.store.claim({"q": Want(10), "strange": Want(200)})
            assert all([await process.store.ack(each.receipt) for each in claim.jobs])
            handled |= set(ids(claim.jobs))
    assert handled == {job.id for job in strange}


# The broker dies


@pytest.mark.slow
@ensureDeferred
async def test_a_broker_that_is_killed_loses_nothing_and_work_goes_on_when_it_is_back(broker_bench: Any) -> None:
    one = await broker_bench.process()
    waiting = broker_bench.jobs(300)
    await one.enqueue(*waiting)
    delayed = broker_bench.job(not_before=time.time() + 3)
    await one.enqueue(delayed)
    in_hand = await one.claim(10)
    late = await one.store.retry(in_hand[0].receipt, 3.0, "busy")
    assert late is True
    broker_bench.broker.kill()
    await until(lambda: one.store.inspect().epochs == [0])
    with pytest.raises(StoreUnavailable):
        await one.store.enqueue([broker_bench.job()])
    assert "there is no connection to 127.0.0.1" in one.store.trouble
    assert await one.store.ack(in_hand[1].receipt) is False
    broker_bench.broker.start()
    back = time.monotonic()
    claimed = await until(lambda: one.claim(100))
    assert time.monotonic() - back < 6 * slowness()
    handled: dict[str, int] = {}
    expected = {job.id for job in [*waiting, delayed]}
    while True:
        for each in claimed:
            handled[each.job.id] = max(each.job.attempt, handled.get(each.job.id, 0))
            assert each.job.solo is False
            assert await one.store.ack(each.receipt) is True
        if set(handled) == expected and handled[in_hand[0].job.id] == 2:
            break
        claimed = await until(lambda: one.claim(100))
    # None is held to be guilty of the broker's death; only the one that was retried has another attempt. (What it was
    # before may come back too: the broker died before it had written down that this was acknowledged.)
    assert {job_id for job_id, attempt in handled.items() if attempt != 1} == {in_hand[0].job.id}
    await one.enqueue(broker_bench.job())
    assert len(await one.claim()) == 1
    assert one.store.trouble is None
