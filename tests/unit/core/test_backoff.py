"""Waiting longer after each failure."""

from __future__ import annotations

from random import Random

from snqd.core.backoff import Backoff


class Highest(Random):
    """Takes nothing off."""

    def random(self) -> float:
        return 0.0


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 15.0, Highest())
    assert [backoff.failed() for _ in range(8)] == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_each_delay_is_shortened_by_a_quarter_at_most_at_random() -> None:
    delays = {Backoff(8.0, 15.0, Random(seed)).failed() for seed in range(100)}
    assert len(delays) == 100
    assert 6 < min(delays) < max(delays) <= 8


def test_it_starts_anew_after_a_success() -> None:
    backoff = Backoff(0.5, 15.0, Highest())
    for _ in range(5):
        backoff.failed()
    backoff.succeeded()
    assert backoff.failures == 0
    assert backoff.failed() == 0.5


def test_years_of_failures_do_no_harm() -> None:
    backoff = Backoff(0.5, 15.0, Highest(), failures=10**8)
    assert backoff.failed() == 15.0
