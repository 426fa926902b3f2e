"""Reading a table of messages whose rows do not turn up in the order of their numbers."""

from __future__ import annotations

from snqd.stores.sql.control import LATE, Position
from snqd.stores.sql.control_table import MOST_AT_ONCE


def rows(*numbers: int) -> list[tuple[int, bytes]]:
    return [(number, b"%d" % number) for number in numbers]


def test_each_row_is_told_once() -> None:
    position = Position(5)
    assert position.fresh(rows(6, 7), 0.0) == [b"6", b"7"]
    assert position.fresh(rows(6, 7, 8), 1.0) == [b"8"]
    assert position.fresh(rows(6, 7, 8), 2.0) == []


def test_a_row_that_turns_up_late_is_not_missed() -> None:
    position = Position(5)
    assert position.fresh(rows(7), 0.0) == [b"7"]
    assert position.floor == 5
    assert position.fresh(rows(6, 7), LATE - 1) == [b"6"]
    assert position.fresh(rows(6, 7), LATE + 1) == []


def test_old_rows_are_left_behind() -> None:
    position = Position(0)
    position.fresh(rows(1, 2), 0.0)
    position.fresh(rows(1, 2, 3), LATE + 1)
    assert position.floor == 2
    assert position.fresh(rows(3), LATE + 2) == []


def test_a_flood_is_got_through() -> None:
    position, numbers, told = Position(0), list(range(1, 3 * MOST_AT_ONCE)), 0
    for look in range(3):
        page = [number for number in numbers if number > position.floor][:MOST_AT_ONCE]
        told += len(position.fresh(rows(*page), float(look)))
    assert told == len(numbers)
