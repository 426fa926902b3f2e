"""Slots: limits of what runs, and how much is claimed ahead."""

from __future__ import annotations

import pytest

from snqd.queues.slots import MOST_IN_A_ROW, Slots, burst


def test_a_queue_is_open_until_its_own_limit_or_the_processs_is_reached() -> None:
    slots = Slots(3, {"narrow": 1})
    slots.take("narrow")
    assert not slots.open_to("narrow")
    assert slots.open_to("wide")
    slots.take("wide")
    slots.take("wide")
    assert not slots.open_to("wide")
    slots.free("narrow")
    assert slots.open_to("narrow")
    assert slots.running == 2


def test_a_queues_limit_is_never_above_the_processs() -> None:
    assert Slots(3, {"q": 10}).limit_of("q") == 3


@pytest.mark.parametrize(
    ("cost", "room"),
    [(None, 50), (0.0001, 450), (0.0002, 250), (0.001, 100), (0.02, 100), (0.1, 100), (1.0, 55), (600.0, 50)],
    ids=["unknown", "no-op", "0.2 ms", "1 ms", "20 ms", "100 ms", "1 s", "10 min"],
)
def test_only_jobs_that_end_soon_are_claimed_ahead(cost: float | None, room: int) -> None:
    assert Slots(50, {}).room("q", 0, cost) == room


def test_what_runs_and_what_waits_takes_room() -> None:
    slots = Slots(50, {})
    for _ in range(20):
        slots.take("q")
    assert slots.room("q", 10, None) == 20
    assert slots.room("q", 31, None) == 0
    assert slots.room("other", 0, None) == 30


@pytest.mark.parametrize(
    ("cost", "most"),
    [(None, 0), (0.0001, 250_000), (0.02, 1250), (0.1, 250), (1.0, 25), (4.0, 6), (6.0, 0), (600.0, 0)],
    ids=["unknown", "no-op", "20 ms", "100 ms", "1 s", "4 s", "6 s", "10 min"],
)
def test_what_can_not_start_soon_is_surplus(cost: float | None, most: int) -> None:
    slots = Slots(50, {})
    for _ in range(50):
        slots.take("q")
    assert slots.surplus("q", most, cost) == 0
    assert slots.surplus("q", most + 1, cost) == most + 1 - slots.room("q", 0, cost)


def test_what_can_start_now_is_no_surplus() -> None:
    slots = Slots(50, {"narrow": 2})
    assert slots.surplus("q", 50, 600.0) == 0
    assert slots.surplus("q", 51, 600.0) == 1
    assert slots.surplus("narrow", 3, 600.0) == 1
    slots.take("q")
    slots.set_limits(0, {})
    assert slots.surplus("q", 3, 600.0) == 3


def test_limits_can_change_while_jobs_run() -> None:
    slots = Slots(4, {"q": 3})
    for _ in range(3):
        slots.take("q")
    slots.set_limits(2, {})
    assert not slots.open_to("q")
    assert slots.room("q", 0, None) == 0
    slots.free("q")
    slots.free("q")
    assert slots.open_to("q")
    slots.set_limits(2, {"q": 1})
    assert not slots.open_to("q")
    assert slots.open_to("r")


@pytest.mark.parametrize(
    ("cost", "number"),
    [(None, 1), (0.0001, MOST_IN_A_ROW), (0.0005, 2), (0.001, 1), (0.005, 1), (600.0, 1)],
    ids=["unknown", "no-op", "0.5 ms", "1 ms", "5 ms", "10 min"],
)
def test_only_jobs_that_take_next_to_nothing_are_claimed_in_a_row(cost: float | None, number: int) -> None:
    assert burst(cost) == number
