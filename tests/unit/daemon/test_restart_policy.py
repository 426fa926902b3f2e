"""How long it takes until a child that ended comes back."""

from __future__ import annotations

from snqd.daemon.restart_policy import Life, RestartPolicy

NEVER_READY = Life(None)
GOOD = Life(ready_for=1.0, settled=3, exit_code=1)


def delays(policy: RestartPolicy, *lives: Life) -> list[float]:
    return [policy.delay_after(life) for life in lives]


def test_young_deaths_double_the_delay_up_to_its_maximum() -> None:
    assert delays(RestartPolicy(1, 30), *[NEVER_READY] * 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_did_work_comes_back_after_spawndelay() -> None:
    assert delays(RestartPolicy(1, 30), NEVER_READY, NEVER_READY, GOOD, NEVER_READY, NEVER_READY) == [1, 2, 1, 1, 2]


def test_a_child_dies_young_within_five_seconds_and_without_work() -> None:
    assert Life(4.9).died_young
    assert not Life(4.9, settled=1).died_young
    assert not Life(5.0).died_young


def test_a_child_that_asked_for_it_comes_back_at_once() -> None:
    assert RestartPolicy(1, 30).delay_after(Life(0.1, exit_code=101)) == 0


def test_a_child_that_asks_for_it_before_it_is_ready_waits_like_others() -> None:
    assert delays(RestartPolicy(1, 30), *[Life(None, exit_code=101)] * 3) == [1, 2, 4]


def test_without_spawndelay_young_deaths_are_no_busy_loop() -> None:
    assert delays(RestartPolicy(0, 1), *[NEVER_READY] * 6) == [0, 0.2, 0.4, 0.8, 1, 1]


def test_the_delay_is_never_below_spawndelay() -> None:
    assert delays(RestartPolicy(60, 30), *[NEVER_READY] * 3) == [60, 60, 60]


def test_a_thousand_young_deaths_are_no_overflow() -> None:
    assert delays(RestartPolicy(1, 30), *[NEVER_READY] * 5000)[-1] == 30
