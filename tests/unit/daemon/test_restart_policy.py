"""How long it takes until a child that ended comes back."""

from __future__ import annotations

from random import Random

from snqd.daemon.restart_policy import START_AT_ONCE, START_SPREAD, Life, RestartPolicy

NEVER_READY = Life(None)
GOOD = Life(ready_for=1.0, settled=3, exit_code=1)


class Fixed(Random):
    """:param value: what every call of `random` gives."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def policy(spawndelay: float = 1, max_delay: float = 30, chance: float = 0.0) -> RestartPolicy:
    return RestartPolicy(spawndelay, max_delay, Fixed(chance))


def delays(policy: RestartPolicy, *lives: Life) -> list[float]:
    return [policy.delay_after(life) for life in lives]


def test_young_deaths_double_the_delay_up_to_its_maximum() -> None:
    assert delays(policy(), *[NEVER_READY] * 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_did_work_comes_back_after_spawndelay() -> None:
    assert delays(policy(), NEVER_READY, NEVER_READY, GOOD, NEVER_READY, NEVER_READY) == [1, 2, 1, 1, 2]


def test_a_child_dies_young_within_five_seconds_and_without_work() -> None:
    assert Life(4.9).died_young
    assert not Life(4.9, settled=1).died_young
    assert not Life(5.0).died_young


def test_a_child_that_asked_for_it_comes_back_at_once() -> None:
    assert policy().delay_after(Life(0.1, exit_code=101)) == 0


def test_a_child_that_asks_for_it_at_once_and_again_is_no_busy_loop() -> None:
    assert delays(policy(), *[Life(0.1, exit_code=101)] * 4) == [0, 2, 4, 8]
    assert delays(policy(), *[Life(60.0, exit_code=101)] * 4) == [0, 0, 0, 0]


def test_a_child_that_asks_for_it_before_it_is_ready_waits_like_others() -> None:
    assert delays(policy(), *[Life(None, exit_code=101)] * 3) == [1, 2, 4]


def test_without_spawndelay_young_deaths_are_no_busy_loop() -> None:
    assert delays(policy(0, 1), *[NEVER_READY] * 6) == [0, 0.2, 0.4, 0.8, 1, 1]


def test_the_delay_is_never_below_spawndelay() -> None:
    assert delays(policy(60, 30), *[NEVER_READY] * 3) == [60, 60, 60]


def test_a_thousand_young_deaths_are_no_overflow() -> None:
    assert delays(policy(), *[NEVER_READY] * 5000)[-1] == 30


def test_children_that_die_together_do_not_come_back_together() -> None:
    assert delays(policy(chance=0.5), *[NEVER_READY] * 4) == [1, 1.75, 3.5, 7]
    assert delays(policy(60, 30, chance=0.9), *[NEVER_READY] * 2) == [60, 60]


def test_a_few_children_start_at_once_and_many_are_spread() -> None:
    assert [policy(chance=0.9).first_delay(n) for n in (1, START_AT_ONCE)] == [0, 0]
    assert policy(chance=0.5).first_delay(START_AT_ONCE + 10) == 0.5 * 10 * START_SPREAD
