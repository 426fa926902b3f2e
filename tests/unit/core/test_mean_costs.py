"""MeanCosts: what a job takes today, by those that ended and those that run."""

from __future__ import annotations

import pytest

from snqd.core.mean_costs import MeanCosts


def test_nothing_is_expected_before_the_first_job_has_ended() -> None:
    costs = MeanCosts()
    costs.still_running({"q": 5.0})
    assert costs.expected("q") is None


def test_the_latest_jobs_move_the_mean() -> None:
    costs = MeanCosts()
    costs.add("q", 1.0)
    assert costs.expected("q") == 1.0
    for _ in range(100):
        costs.add("q", 3.0)
    assert costs.expected("q") == pytest.approx(3.0, rel=0.001)


def test_jobs_that_run_for_longer_than_the_mean_raise_it_until_one_ends() -> None:
    costs = MeanCosts()
    costs.add("q", 0.001)
    costs.add("r", 0.001)
    costs.still_running({"q": 5.0})
    assert costs.expected("q") == 5.0
    assert costs.expected("r") == 0.001
    costs.add("q", 0.001)
    assert costs.expected("q") == pytest.approx(0.001)


def test_jobs_that_have_just_begun_say_nothing() -> None:
    costs = MeanCosts()
    costs.add("q", 1.0)
    costs.still_running({"q": 0.2})
    assert costs.expected("q") == 1.0
    costs.still_running({"q": 2.0})
    costs.still_running({})
    assert costs.expected("q") == 1.0
