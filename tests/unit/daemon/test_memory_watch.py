"""When a child has grown too large, and which limits no child can keep to."""

from __future__ import annotations

from itertools import count

from snqd.daemon.memory_watch import (
    CHILDREN_REMEMBERED,
    FEW_JOBS,
    FIRST_JOBS,
    MOST_OVER,
    SHORT_LIFE,
    SHORT_LIVES,
    MemoryWatch,
    Sample,
    Verdict,
)

NAMES = count()


def child(watch: MemoryWatch, *reports: tuple[int, float, int]) -> list[Verdict]:
    """The verdicts on one child's reports: megabytes, seconds since it was ready, jobs settled."""
    name = f"child-{next(NAMES)}"
    return [watch.judge(Sample(name, size, ready_for, settled)) for size, ready_for, settled in reports]


def test_a_child_is_full_at_the_limit() -> None:
    assert child(MemoryWatch(100), (50, 0, 0), (99, 60, 900), (100, 61, 910)) == [
        Verdict.FINE,
        Verdict.FINE,
        Verdict.FULL,
    ]


def test_a_fast_leak_is_full_again_and_again() -> None:
    watch = MemoryWatch(100)
    for _ in range(10):
        assert child(watch, (50, 0, 0), (120, 1, 70))[-1] is Verdict.FULL


def test_a_limit_below_what_a_fresh_child_needs_is_told_once_and_replaces_nobody() -> None:
    watch = MemoryWatch(40)
    assert child(watch, (50, 0, 0), (50, 1, 0), (55, 9, 100)) == [Verdict.TOO_LOW, Verdict.FINE, Verdict.FINE]
    assert child(watch, (50, 0, 0), (55, 9, 100)) == [Verdict.FINE, Verdict.FINE]
    assert watch.need_bytes == 50


def test_a_child_that_leaks_is_replaced_even_where_the_limit_is_too_low() -> None:
    watch = MemoryWatch(40)
    child(watch, (48, 0, 0))
    assert watch.trigger_bytes == 60
    assert child(watch, (48, 0, 0), (60, 100, 5000))[-1] is Verdict.FULL


def test_a_limit_just_above_the_need_leaves_some_room_all_the_same() -> None:
    watch = MemoryWatch(52)
    assert child(watch, (50, 0, 0), (53, 1, 10), (60, 99, 10)) == [Verdict.FINE] * 3
    assert child(watch, (50, 0, 0), (62, 99, 10))[-1] is Verdict.FULL


def test_children_that_are_full_before_they_worked_show_that_the_limit_is_too_low() -> None:
    watch = MemoryWatch(100)
    for _ in range(SHORT_LIVES - 1):
        assert child(watch, (50, 0, 0), (120, SHORT_LIFE - 1, FEW_JOBS - 1))[-1] is Verdict.FULL
    assert child(watch, (50, 0, 0), (120, 1, 1), (121, 2, 90))[1:] == [Verdict.TOO_LOW, Verdict.FINE]
    assert (watch.need_bytes, watch.trigger_bytes) == (120, 150)


def test_one_child_that_stays_full_while_it_waits_for_its_replacement_counts_once() -> None:
    watch = MemoryWatch(100)
    assert child(watch, (50, 0, 0), *[(120, 1, 1)] * 9)[1:] == [Verdict.FULL] * 9


def test_a_child_never_gets_more_than_some_times_the_limit() -> None:
    watch = MemoryWatch(100)
    for _ in range(20):
        child(watch, (50, 0, 0), (10_000, 1, 1))
    assert watch.trigger_bytes == MOST_OVER * 100


def test_a_longer_life_in_between_starts_the_count_anew() -> None:
    watch = MemoryWatch(100)
    for _ in range(9):
        child(watch, (50, 0, 0), (120, 1, 1))
        child(watch, (50, 0, 0), (120, SHORT_LIFE, 1))
        child(watch, (50, 0, 0), (120, 1, FEW_JOBS))
    assert watch.need_bytes == 50


def test_a_first_report_after_much_work_tells_nothing_of_the_need() -> None:
    watch = MemoryWatch(100)
    assert child(watch, (200, 0.5, FIRST_JOBS + 1)) == [Verdict.FULL]
    assert watch.need_bytes == 0


def test_the_least_of_the_last_children_is_what_one_needs() -> None:
    watch = MemoryWatch(100)
    for size in (20, *[60] * (CHILDREN_REMEMBERED - 1)):
        child(watch, (size, 0, 0))
    assert watch.need_bytes == 20
    child(watch, (70, 0, 0))
    assert watch.need_bytes == 60
