"""The sorter: what waits here, what is sent elsewhere, and that nothing is acknowledged before that is confirmed."""

from __future__ import annotations

import time

from snqd.stomp.frame import Frame
from snqd.stores.stomp import message
from snqd.stores.stomp.router import GRACE
from snqd.stores.stomp.sender import PROBE
from snqd.stores.stomp.shared_state import SharedStateSnapshot, Suspect
from tests.unit.stores.stomp.doubles import TOPOLOGY, RouterBench, job


def test_what_belongs_here_waits_here() -> None:
    bench = RouterBench()
    bench.arrive(job("a"))
    assert (bench.waiting(), bench.sender.sent, bench.consumer.acked) == (["a"], [], [])


def test_a_message_that_is_no_job_is_settled_and_forgotten() -> None:
    bench = RouterBench()
    bench.arrive(job("a"), **{PROBE: "1"})
    assert (bench.waiting(), len(bench.consumer.acked)) == ([], 1)


def test_what_is_moved_is_acknowledged_when_that_is_confirmed_and_not_before() -> None:
    bench = RouterBench()
    bench.arrive(job("a", solo=True))
    assert bench.sender.destinations() == [("a", "snq.main.solo")]
    assert bench.consumer.acked == []
    bench.sender.confirm()
    assert bench.consumer.acked == ["a"]


def test_a_confirmation_that_comes_when_the_connection_was_lost_settles_nothing() -> None:
    bench = RouterBench()
    bench.arrive(job("a", solo=True))
    bench.consumer.epoch = 2
    bench.sender.confirm()
    assert bench.consumer.acked == []


def test_what_a_lost_connection_has_brought_is_not_sorted_any_more() -> None:
    bench = RouterBench()
    bench.arrive(job("a"), redelivered="true")
    bench.consumer.epoch = 2
    bench.clock.advance(GRACE)
    assert (bench.waiting(), bench.sender.sent) == ([], [])


def test_a_redelivered_job_waits_a_moment_for_its_process_to_be_found_dead() -> None:
    bench = RouterBench()
    bench.arrive(job("a"), job("b"), redelivered="true")
    assert bench.waiting() == []
    bench.notes.noted = SharedStateSnapshot({"a": Suspect("child-1", "killed by signal 9", "", "")})
    bench.clock.advance(GRACE)
    assert (bench.waiting(), bench.sender.sent) == (["b"], [])
    bench.notes.written[0].callback(None)  # that it waits to run alone, before it can be found there
    (out,) = bench.sender.sent
    assert (out.destination, out.accused) == (TOPOLOGY.solo("main"), "child-1")
    assert (out.job.attempt, out.job.solo, out.job.reason) == (2, True, "killed by signal 9")


def test_a_suspect_is_not_run_while_the_broker_may_give_back_what_it_was_before() -> None:
    bench = RouterBench()
    bench.notes.noted = SharedStateSnapshot({"a": Suspect("child-1", "killed by signal 9", "", "")})
    bench.arrive(job("a"))
    bench.notes.written[0].callback(None)
    solo = bench.source(TOPOLOGY.solo("main"), alone=True)
    (out,) = bench.sender.sent
    bench.arrive(out.job, source=solo, **{message.ACCUSED: out.accused})  # a broker sends on what it has not confirmed
    assert (bench.waiting(), bench.consumer.acked) == ([], [])
    bench.sender.confirm()
    assert (bench.waiting(), bench.consumer.acked) == ([], ["a"])
    bench.consumer.unconfirmed[0].callback(None)
    assert bench.waiting() == ["a"]


def test_a_broker_that_comes_back_makes_nobody_suspect() -> None:
    bench = RouterBench()
    bench.sorter.doubting = False
    bench.arrive(job("a"), redelivered="true")
    assert bench.waiting() == ["a"]
    bench.arrive(job("b"))  # what was never delivered before: from now on the flag means something
    bench.arrive(job("c"), redelivered="true")
    assert bench.waiting() == ["a", "b"]


def test_of_a_flood_as_much_stays_as_keeps_the_slots_busy_and_others_come_through() -> None:
    bench = RouterBench()
    bench.sorter.flooding, bench.sorter.kept = "alpha", 2
    bench.arrive(*(job(f"a{n}") for n in range(4)), job("b", site="beta"))
    lane = TOPOLOGY.lane("main", "alpha").removeprefix(TOPOLOGY.base)
    assert bench.waiting() == ["a0", "a1", "b"]
    assert bench.sender.destinations() == [("a2", lane), ("a3", lane)]


def test_what_comes_out_of_a_lane_or_must_keep_its_order_goes_to_none() -> None:
    bench = RouterBench()
    bench.sorter.flooding = "alpha"
    bench.sorter.ordered = {"xmppout"}
    bench.arrive(job("a"), source=bench.source(TOPOLOGY.lane("main", "alpha")))
    bench.arrive(job("b", queue="xmppout"))
    assert (bench.waiting(), bench.sender.sent) == (["a", "b"], [])


def test_what_a_pause_covers_is_put_aside_and_comes_back_after_it() -> None:
    bench = RouterBench()
    bench.notes.noted = SharedStateSnapshot(paused=frozenset({("", "alpha")}))
    bench.arrive(job("a"))
    aside = TOPOLOGY.paused("main", "", "alpha")
    assert [out.destination for out in bench.sender.sent] == [aside]
    bench.arrive(job("b"), source=bench.source(aside))  # not sent there again
    assert (len(bench.sender.sent), bench.waiting()) == (1, [])
    bench.notes.noted = SharedStateSnapshot(resumed=frozenset({("", "alpha")}))
    bench.sorter.noted()
    assert bench.waiting() == ["b"]


def test_jobs_that_nobody_takes_are_put_aside_once_that_is_noted() -> None:
    bench = RouterBench()
    bench.arrive(job("a", queue="strange"), job("b", queue="strange"), job("c"))
    assert (bench.waiting(), bench.sender.sent, len(bench.notes.written)) == (["c"], [], 1)
    bench.notes.noted = SharedStateSnapshot(resumed=frozenset({("strange", "")}))
    bench.notes.written[0].callback(None)
    aside = TOPOLOGY.paused("main", "strange", "")
    assert [(out.job.id, out.destination) for out in bench.sender.sent] == [("a", aside), ("b", aside)]
    bench.arrive(job("d", queue="strange"), source=bench.source(aside))  # stays there
    assert (len(bench.sender.sent), bench.waiting()) == (2, ["c"])


def test_an_early_job_goes_back_to_where_it_waits_and_a_moment_is_waited_here() -> None:
    bench = RouterBench()
    now = time.time()
    bench.arrive(job("late", not_before=now + 60), job("soon", not_before=now + 0.5))
    assert [(out.job.id, out.destination) for out in bench.sender.sent] == [("late", None)]
    assert 59 < bench.sender.sent[0].delay <= 60
    assert bench.waiting() == []


def test_what_cannot_be_read_is_acknowledged_when_the_morgue_has_it() -> None:
    bench = RouterBench()
    bench.sorter.arrived(Frame("MESSAGE", {}, b"O:6:"), bench.main, 1)
    (letter,) = bench.buried
    assert (letter.body, letter.queue) == (b"O:6:", "main")
    assert (bench.consumer.acked, bench.bad_items) == ([letter.id], [("main", "")])


def test_what_is_moved_says_what_it_said_before_and_no_more() -> None:
    bench = RouterBench()
    bench.arrive(job("a", solo=True, attempt=3, reason="it failed"), subscription="7", redelivered="false")
    (headers,) = bench.sender.headers
    written, _ = message.write(job("a", solo=True, attempt=3, reason="it failed"))
    assert headers == {name: value for name, value in written.items() if name != "created"}  # nobody else reads there


def test_what_another_program_sent_is_written_anew_when_it_is_moved() -> None:
    bench = RouterBench()
    bench.sorter.flooding = "alpha"
    body = b'{"site":"alpha","queue":"q","payload":1}'
    bench.sorter.arrived(Frame("MESSAGE", {"created": " 2010-01-26 00:00:00"}, body), bench.main, 1)
    (out,) = bench.sender.sent
    assert (bench.sender.headers, out.job.created) == ([], 1264464000.0)
    bench.sender.confirm()
    assert bench.consumer.acked == [out.job.id]


def test_a_move_that_is_not_confirmed_is_made_over_the_next_connection() -> None:
    bench = RouterBench()
    bench.arrive(job("a", solo=True))
    bench.sender.lose()
    assert (bench.sender.destinations(), bench.consumer.acked) == ([("a", "snq.main.solo")] * 2, [])
    bench.sender.confirm()
    assert bench.consumer.acked == ["a"]
