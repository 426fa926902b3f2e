"""Where a process listens, and how much it lets come."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from snqd.stores.interface import Want
from snqd.stores.stomp.consumer import BRISK
from snqd.stores.stomp.dialects import ActiveMq
from snqd.stores.stomp.intake import MAX_PREFETCH, REST, SMALL_PREFETCH, Intake
from snqd.stores.stomp.topology import LANES
from tests.unit.stores.stomp.doubles import TOPOLOGY, FakeConsumer

MAIN, DUE = TOPOLOGY.of_group("main"), TOPOLOGY.due("main")


def bench(room: int = 40) -> tuple[Clock, Intake, Any]:
    """A process that has asked for so many jobs."""
    clock, consumer = Clock(), FakeConsumer()
    intake = Intake(clock, TOPOLOGY, [consumer])  # type: ignore[list-item]
    intake.start()
    assert intake.listen({"q": Want(room)}, ())
    return clock, intake, consumer.sources


def test_a_group_is_its_destination_what_is_due_and_all_lanes() -> None:
    _, intake, sources = bench()
    assert len(sources) == 2 + LANES
    assert (sources[MAIN].prefetch, sources[DUE].prefetch) == (40, 10)
    assert {sources[lane].prefetch for lane in TOPOLOGY.lanes("main")} == {SMALL_PREFETCH}
    assert not intake.listen({"q": Want(40)}, ())


def test_only_a_full_source_gets_more_room() -> None:
    _, intake, sources = bench()
    sources[MAIN].unsettled = 40
    intake.make_room(100)
    assert (sources[MAIN].prefetch, sources[DUE].prefetch) == (100, 10)
    intake.make_room(200)
    assert sources[MAIN].prefetch == 100


def test_a_source_gets_more_room_that_brings_as_much_as_may_be_here_in_next_to_no_time() -> None:
    clock, intake, sources = bench()
    intake.make_room(400)
    for _ in range(2):
        clock.advance(BRISK / 2)
        sources[MAIN].received += 20
        intake.make_room(400)
    assert (sources[MAIN].prefetch, sources[DUE].prefetch) == (400, 10)


def test_a_source_that_takes_its_time_gets_no_more_room() -> None:
    clock, intake, sources = bench()
    for _ in range(100):
        clock.advance(BRISK / 2)
        sources[MAIN].received += 19
        intake.make_room(400)
    assert sources[MAIN].prefetch == 40


def test_no_source_gets_more_than_the_most() -> None:
    _, intake, sources = bench(room=2 * MAX_PREFETCH)
    sources[MAIN].unsettled = MAX_PREFETCH
    intake.make_room(2 * MAX_PREFETCH)
    assert sources[MAIN].prefetch == MAX_PREFETCH


def test_a_source_at_rest_gives_room_back() -> None:
    clock, _, sources = bench()
    sources[MAIN].prefetch = sources[DUE].prefetch = 500
    sources[DUE].unsettled = 1
    clock.advance(REST)
    assert sources[MAIN].prefetch == 500  # it may have been at rest for a moment
    clock.advance(REST)
    assert (sources[MAIN].prefetch, sources[DUE].prefetch) == (40, 500)


def test_a_source_at_rest_keeps_no_more_than_a_lower_concurrency_wants() -> None:
    clock, intake, sources = bench()
    clock.advance(REST)
    intake.listen({"q": Want(6)}, ())
    intake.listen({"q": Want(1)}, ())
    clock.pump([REST, REST])
    assert (sources[MAIN].prefetch, sources[DUE].prefetch) == (6, 6)


def test_a_source_from_which_something_came_and_was_settled_meanwhile_was_not_at_rest() -> None:
    clock, _, sources = bench()
    sources[MAIN].prefetch = 500
    clock.advance(REST)
    sources[MAIN].received += 1
    clock.advance(REST)
    assert sources[MAIN].prefetch == 500
    clock.advance(REST)
    assert sources[MAIN].prefetch == 40


def test_a_broker_that_hands_out_by_halves_is_let_send_twice_as_much() -> None:
    _, intake, sources = bench()
    sources[MAIN].consumer.dialect = ActiveMq()
    sources[MAIN].unsettled = 19
    intake.make_room(40)
    assert sources[MAIN].prefetch == 40
    sources[MAIN].unsettled = 20
    intake.make_room(40)
    assert sources[MAIN].prefetch == 80


def test_what_came_before_a_source_was_renewed_takes_room_too() -> None:
    _, intake, sources = bench()
    sources[MAIN].prefetch, sources[MAIN].left_over, sources[MAIN].unsettled = 1, 50, 51
    intake.make_room(60)
    assert (sources[MAIN].prefetch, sources[MAIN].most) == (10, 60)


def test_a_source_that_is_shut_gets_no_room() -> None:
    _, intake, sources = bench()
    sources[MAIN].prefetch = 0
    intake.make_room(60)
    assert sources[MAIN].is_shut
