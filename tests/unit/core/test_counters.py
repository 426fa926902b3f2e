"""What became of the jobs, counted."""

from __future__ import annotations

import json

import pytest

from snqd.core.counters import RATE_WINDOW, Counters, Totals


def counted() -> Counters:
    counters = Counters()
    counters.of("q", "alpha").handled += 3
    counters.of("q", "alpha").seconds += 0.5
    counters.of("q", "alpha").handled += 1
    counters.of("q", "beta").enqueued += 2
    counters.of("r", "alpha").retried += 1
    counters.of("r", "alpha").dead += 1
    return counters


def test_rows_tell_queue_site_and_what_was_counted() -> None:
    assert counted().take() == [
        ["q", "alpha", 0, 4, 0, 0, 0.5],
        ["q", "beta", 2, 0, 0, 0, 0.0],
        ["r", "alpha", 0, 0, 1, 1, 0.0],
    ]


def test_what_was_taken_is_not_counted_again() -> None:
    counters = counted()
    counters.take()
    assert counters.take() == []
    counters.of("q", "alpha").dead += 1
    assert counters.take() == [["q", "alpha", 0, 0, 0, 1, 0.0]]


def test_of_many_those_are_told_first_that_wait_longest_and_none_is_forgotten() -> None:
    counters = counted()
    assert [row[:2] for row in counters.take(1)] == [["q", "alpha"]]
    counters.of("q", "alpha").handled += 1
    counters.of("q", "beta").enqueued += 1
    assert counters.take(2) == [["q", "beta", 3, 0, 0, 0, 0.0], ["r", "alpha", 0, 0, 1, 1, 0.0]]
    assert counters.take(2) == [["q", "alpha", 0, 1, 0, 0, 0.0]]


def test_totals_add_up_what_the_children_counted() -> None:
    totals = Totals()
    totals.add(json.loads(json.dumps(counted().take())), 100.0)
    totals.add(counted().take(), 101.0)
    tallies = {(queue, site): total.tally for queue, site, total in totals.rows()}
    assert tallies["q", "alpha"].handled == 8
    assert tallies["q", "alpha"].seconds == 1.0
    assert tallies["q", "beta"].enqueued == 4
    assert (tallies["r", "alpha"].retried, tallies["r", "alpha"].dead) == (2, 2)


@pytest.mark.parametrize("step", [-10_800.0, -1e6])
def test_a_clock_that_is_set_back_breaks_no_rate(step: float) -> None:
    totals = Totals()
    totals.add(counted().take(), 1e6)
    totals.add(counted().take(), 1e6 + step)
    assert {total.rate(1e6 + step) for queue, _, total in totals.rows() if queue == "q"} == {8 / RATE_WINDOW, 0.0}
    assert all(total.rate(1e6 + 2 * step) <= 8 / RATE_WINDOW for _, _, total in totals.rows())


def rate(rows: list[tuple[float, int]], now: float) -> float:
    totals = Totals()
    for at, handled in rows:
        totals.add([["q", "alpha", 0, handled, 0, 0, 0.0]], at)
    ((_, _, total),) = totals.rows()
    return total.rate(now)


def test_a_steady_stream_has_its_rate() -> None:
    stream = [(float(second), 50) for second in range(100)]
    assert rate(stream, 99.5) == pytest.approx(50, rel=0.02)


def test_two_children_that_count_in_turn_have_the_sum_of_their_rates() -> None:
    stream = [(second / 2, 25) for second in range(200)]
    assert rate(stream, 99.75) == pytest.approx(50, rel=0.02)


def test_a_rate_fades_when_nothing_is_handled_any_more() -> None:
    stream = [(float(second), 50) for second in range(100)]
    assert rate(stream, 99 + RATE_WINDOW) < 25
    assert rate(stream, 99 + 20 * RATE_WINDOW) < 0.001
