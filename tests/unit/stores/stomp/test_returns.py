"""What waits here and does not begin goes back to the broker, once, and does not come again at once."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from snqd.stomp.frame import Frame
from snqd.stores.interface import Pauses, Want
from snqd.stores.stomp.consumer import Arrival, Source
from snqd.stores.stomp.dialects import ActiveMq
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.returns import FLOWING, LONGEST_WAIT, LOOK_EVERY, OVERDUE_SHARE, Returns
from tests.unit.stores.stomp.doubles import FakeConsumer, job

TIMEOUT = 40.0
OVERDUE = TIMEOUT * OVERDUE_SHARE


class Bench:
    """An inbox, and sources that have brought something."""

    def __init__(self) -> None:
        self.clock, self.inbox, self.consumer = Clock(), Inbox(), FakeConsumer()
        self.flooded = False
        self.returns = Returns(
            self.clock, self.inbox, self.consumer.sources.values, lambda: self.flooded, lambda: TIMEOUT
        )
        self.returns.start()

    def source(self, name: str, least: int = 1, prefetch: int = 1, sifted: bool = False) -> Source:
        made = Source(name, "main", self.consumer, sifted, least=least)  # type: ignore[arg-type]
        self.consumer.listen(made, prefetch)
        return made

    def arrive(self, source: Source, *names: str) -> None:
        for name in names:
            source.unsettled += 1
            self.inbox.add(Arrival(job(name), Frame("MESSAGE", {}, b""), source, 1, self.clock.seconds()))

    def waiting(self) -> list[str]:
        return [arrival.job.id for arrival in self.inbox.waiting()]

    def wait(self, seconds: float) -> None:
        self.clock.pump([LOOK_EVERY / 4] * round(4 * seconds / LOOK_EVERY))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_source_that_has_grown_gives_back_what_does_not_move_and_listens_less(bench: Bench) -> None:
    main = bench.source("/queue/main", least=2, prefetch=400)
    bench.arrive(main, "1", "2", "3")
    bench.wait(LOOK_EVERY)
    assert bench.consumer.returned == ["1", "2", "3"]
    assert bench.waiting() == []
    assert main.prefetch == 1


def test_a_source_that_is_as_small_as_at_its_beginning_keeps_what_waits(bench: Bench) -> None:
    lane = bench.source("/queue/lane", least=4, prefetch=4)
    bench.arrive(lane, "1", "2")
    bench.wait(OVERDUE - LOOK_EVERY)
    assert (bench.waiting(), bench.consumer.returned) == (["1", "2"], [])


def test_what_begins_soon_at_the_pace_of_the_last_second_stays(bench: Bench) -> None:
    main = bench.source("/queue/main", prefetch=400)
    bench.arrive(main, *map(str, range(round(LONGEST_WAIT))))
    for _ in range(3):
        bench.returns.claimed({"q": Want(1)}, 1)
        bench.wait(LOOK_EVERY)
    assert bench.consumer.returned == []
    bench.arrive(main, "one too many")
    bench.returns.claimed({"q": Want(1)}, 1)
    bench.wait(LOOK_EVERY)
    assert len(bench.consumer.returned) == round(LONGEST_WAIT) + 1


def test_a_flood_that_is_sifted_stays_where_it_keeps_nobody_out(bench: Bench) -> None:
    main, lane = bench.source("/queue/main", prefetch=400, sifted=True), bench.source("/queue/lane", prefetch=400)
    bench.arrive(main, "1")
    bench.arrive(lane, "2")
    bench.flooded = True
    bench.wait(LOOK_EVERY)
    assert bench.consumer.returned == ["2"]


def test_an_inbox_beside_empty_slots_may_hide_what_they_wait_for(bench: Bench) -> None:
    main = bench.source("/queue/main", prefetch=400)
    bench.arrive(main, "1")
    for _ in range(5):
        bench.returns.claimed({"other": Want(1)}, 0)
        bench.wait(LOOK_EVERY)
    assert bench.consumer.returned == []
    bench.returns.claimed({"other": Want(1, full=True)}, 0)
    bench.wait(LOOK_EVERY)
    assert bench.consumer.returned == ["1"]


def test_what_waits_for_too_long_goes_back_from_every_source_which_is_shut(bench: Bench) -> None:
    lane = bench.source("/queue/lane", least=4, prefetch=4)
    bench.arrive(lane, "1")
    bench.wait(5)
    bench.arrive(lane, "2")
    bench.returns.claimed({"other": Want(1)}, 0)
    bench.wait(OVERDUE - 5)
    assert bench.consumer.returned == ["1", "2"]
    assert lane.is_shut


def test_shut_sources_are_opened_one_by_one_while_nothing_waits_for_long(bench: Bench) -> None:
    first, second, busy = (bench.source(f"/queue/{name}", least=4, prefetch=4) for name in ("first", "second", "busy"))
    bench.arrive(first, "1")
    bench.wait(2)
    bench.arrive(second, "2")
    bench.wait(OVERDUE)
    assert (first.is_shut, second.is_shut) == (True, True)
    bench.clock.advance(FLOWING / 2)
    bench.arrive(busy, "3")
    bench.wait(4)
    assert (first.is_shut, second.is_shut) == (False, True)
    bench.inbox.take("q", Want(1), Pauses())
    bench.wait(LOOK_EVERY)
    assert not second.is_shut


def test_a_broker_that_can_not_put_a_message_back_gets_none(bench: Bench) -> None:
    bench.consumer.dialect = ActiveMq()
    main = bench.source("/queue/main", prefetch=400)
    bench.arrive(main, "1")
    bench.wait(2 * OVERDUE)
    assert (bench.waiting(), bench.consumer.returned) == (["1"], [])


def test_the_end_leaves_no_timer(bench: Bench) -> None:
    bench.returns.stop()
    bench.returns.stop()
    assert bench.clock.getDelayedCalls() == []
