"""When queue_item tables are looked at: a day in a millisecond."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.task import Clock

from snqd.gnusocial.queue_item_pace import (
    LONGEST_PAUSE,
    LONGEST_REST,
    ROOM,
    TABLES_AT_ONCE,
    TIDY_AT_ONCE,
    CleanupSchedule,
    IdleBackoff,
    TableIntake,
    pause_after,
)
from snqd.gnusocial.queue_item_tables import ItemTable
from snqd.stores.interface import Depth


def tables(number: int) -> list[ItemTable]:
    return [ItemTable(f"site{n}", f"db{n}", ("ping",)) for n in range(number)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_looking_for_nothing_takes_a_tenth_of_the_time_at_most() -> None:
    assert pause_after(0.5) == pytest.approx(4.5)
    assert pause_after(3600) == LONGEST_PAUSE


def test_a_table_that_failed_rests_longer_each_time_and_is_then_looked_at_alone(clock: Clock) -> None:
    rests = IdleBackoff(clock.seconds, Random(1))
    one, two, three = tables(3)
    assert rests.portions([one, two, three]) == [[one, two, three]]
    assert rests.failed("site1", "gone") is True
    assert rests.portions([one, two, three]) == [[one, three]]
    waits = []
    for _ in range(12):
        began = clock.seconds()
        while [two] not in rests.portions([one, two, three]):
            clock.advance(1)
        waits.append(clock.seconds() - began)
        assert rests.failed("site1", "gone") is False
    assert waits[0] <= 5 < waits[3] < waits[-1] <= LONGEST_REST
    assert rests.failed("site1", "another reason") is True
    assert (rests.fine("site1"), rests.fine("site1")) == (True, False)
    assert rests.portions([one, two, three]) == [[one, two, three]]


def test_sites_that_are_gone_are_forgotten(clock: Clock) -> None:
    rests = IdleBackoff(clock.seconds, Random(1))
    rests.failed("site0", "gone")
    rests.keep(["site1"])
    assert rests.portions(tables(2)) == [tables(2)]


def test_many_tables_are_looked_at_in_portions(clock: Clock) -> None:
    portions = IdleBackoff(clock.seconds, Random(1)).portions(tables(2 * TABLES_AT_ONCE + 1))
    assert [len(portion) for portion in portions] == [TABLES_AT_ONCE, TABLES_AT_ONCE, 1]
    assert IdleBackoff(clock.seconds, Random(1)).portions([]) == []


def test_each_table_is_tidied_in_its_turn_a_few_at_once(clock: Clock) -> None:
    times, every = CleanupSchedule(clock.seconds), tables(TIDY_AT_ONCE + 1)
    assert times.due(every, 3600) == every[:TIDY_AT_ONCE]
    assert times.due(every, 3600) == every[TIDY_AT_ONCE:]
    assert times.due(every, 3600) == []
    clock.advance(59)
    assert times.due(every, 3600) == []
    clock.advance(1)
    assert times.due(every, 3600) == every[:TIDY_AT_ONCE]


def test_tables_are_tidied_more_often_where_claims_go_stale_sooner(clock: Clock) -> None:
    times, every = CleanupSchedule(clock.seconds), tables(1)
    times.due(every, 4)
    clock.advance(1)
    assert times.due(every, 4) == every


def test_a_flood_stays_in_its_table_until_the_store_has_less_of_it(clock: Clock) -> None:
    intake, (one, two) = TableIntake(clock.seconds), tables(2)
    intake.took({"site0": ROOM - 1, "site1": 5})
    assert intake.with_room([one, two]) == [one, two]
    assert not intake.wants_depths([one, two])
    intake.took({"site0": 1})
    assert intake.with_room([one, two]) == [two]
    assert intake.wants_depths([one, two])
    intake.learn([Depth("ping", "site0", ROOM - 10, 0, 0, 1.0), Depth("pong", "site0", 10, 0, 0, 1.0)])
    assert intake.with_room([one, two]) == [two]
    assert not intake.wants_depths([one, two])  # it was just asked
    clock.advance(2)
    assert intake.wants_depths([one, two])
    intake.learn([Depth("ping", "site0", 10, 0, 50, 1.0)])
    assert intake.with_room([one, two]) == [one, two]


def test_a_store_that_cannot_tell_its_depth_gets_everything(clock: Clock) -> None:
    intake, every = TableIntake(clock.seconds), tables(1)
    intake.took({"site0": ROOM})
    intake.learn(None)
    assert intake.with_room(every) == every
