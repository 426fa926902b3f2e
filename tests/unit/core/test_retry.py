"""When a job that failed runs again."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.outcome import DeadLetter, Retry
from snqd.core.retry import RetryPolicy, site_patience

attempts = st.integers(min_value=1, max_value=10**6)
seeds = st.integers()


@pytest.mark.parametrize(
    ("attempt", "longest"),
    [(1, 15), (2, 30), (3, 60), (4, 120), (8, 1920), (9, 3600), (10, 3600), (1000, 3600), (10**9, 3600)],
)
def test_the_delay_doubles_up_to_an_hour_less_a_quarter_at_most(attempt: int, longest: float) -> None:
    delays = [RetryPolicy().delay_after(attempt, Random(seed)) for seed in range(200)]
    assert longest * 0.75 < min(delays) < longest * 0.8
    assert longest * 0.95 < max(delays) <= longest


@given(attempt=attempts, seed=seeds, delay=st.floats(0, 1e6), max_delay=st.floats(0, 1e6))
def test_no_delay_is_longer_than_the_longest_nor_negative(
    attempt: int, seed: int, delay: float, max_delay: float
) -> None:
    policy = RetryPolicy(delay=delay, max_delay=max_delay)
    assert 0 <= policy.delay_after(attempt, Random(seed)) <= max_delay


@given(max_retries=st.integers(0, 100), seed=seeds)
def test_a_job_runs_once_and_max_retries_times_again(max_retries: int, seed: int) -> None:
    policy = RetryPolicy(max_retries=max_retries)
    runs = 1
    while isinstance(policy.decide(runs, Retry("busy"), Random(seed)), Retry):
        runs += 1
    assert runs == 1 + max_retries
    assert not policy.exhausted(runs)
    assert policy.exhausted(runs + 1)


def test_a_delay_that_the_handler_chose_is_kept_however_long() -> None:
    assert RetryPolicy().decide(3, Retry("busy", 86400.0), Random(1)) == Retry("busy", 86400.0)
    assert RetryPolicy().decide(3, Retry("busy", 0.0), Random(1)) == Retry("busy", 0.0)


def test_a_retry_without_a_delay_gets_the_policys_and_keeps_the_rest() -> None:
    policy = RetryPolicy()
    decided = policy.decide(2, Retry("busy", traceback="Traceback ..."), Random(5))
    assert decided == Retry("busy", policy.delay_after(2, Random(5)), "Traceback ...")


def test_the_dead_letter_after_the_last_attempt_says_why_and_how_often() -> None:
    decided = RetryPolicy(max_retries=2).decide(3, Retry("busy", 5.0, "Traceback ..."), Random(1))
    assert decided == DeadLetter("busy (attempt 3 of 3)", "Traceback ...")


def test_a_suspect_that_killed_more_than_its_retries_is_exhausted() -> None:
    assert RetryPolicy(max_retries=0).exhausted(2)
    assert not RetryPolicy(max_retries=0).exhausted(1)


@pytest.mark.parametrize(("age", "wait"), [(-5, 1), (0, 1), (10, 5), (120, 60), (1e9, 60)])
def test_a_job_of_an_unknown_site_asks_less_often_the_longer_it_waits(age: float, wait: float) -> None:
    assert site_patience(age) == wait
