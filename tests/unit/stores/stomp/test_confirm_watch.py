"""ConfirmWatch: what is said of a broker that lets those who send wait."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from snqd.stores.stomp.confirm_watch import PATIENCE, ConfirmWatch


class Lines(list[str]):
    """A log, as its lines."""

    def error(self, format: str, **fields: Any) -> None:
        self.append(format.format(**fields))

    info = error


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> ConfirmWatch:
    watch = ConfirmWatch(clock, "rabbit:61613")
    watch.log = Lines()  # type: ignore[assignment]
    return watch


def test_a_broker_that_confirms_nothing_is_trouble_until_it_does(watch: ConfirmWatch, clock: Clock) -> None:
    watch.sent()
    assert watch.trouble is None
    wait(watch, clock, PATIENCE)
    assert watch.trouble == "the broker rabbit:61613 confirms nothing that it is sent"
    watch.confirmed()
    assert watch.trouble is None


def wait(watch: ConfirmWatch, clock: Clock, seconds: float) -> list[str]:
    for _ in range(round(seconds)):
        clock.advance(1)
        watch.look()
    return list(watch.log)  # type: ignore[call-overload,no-any-return]


def test_a_broker_that_confirms_nothing_is_named_once_and_so_is_the_end_of_that(
    watch: ConfirmWatch, clock: Clock
) -> None:
    watch.sent()
    watch.sent()
    assert wait(watch, clock, PATIENCE - 1) == []
    stuck = "the broker rabbit:61613 has confirmed none of 2 messages for 10 s, and they wait"
    assert wait(watch, clock, 100) == [stuck]
    watch.confirmed()
    watch.confirmed()
    assert wait(watch, clock, 100) == [stuck, "the broker rabbit:61613 takes messages again"]


def test_one_that_confirms_in_the_end_is_only_slow(watch: ConfirmWatch, clock: Clock) -> None:
    watch.sent()
    for _ in range(10):
        watch.sent()
        assert wait(watch, clock, PATIENCE - 1) == []
        watch.confirmed()


def test_a_time_without_anything_to_confirm_does_not_count(watch: ConfirmWatch, clock: Clock) -> None:
    assert wait(watch, clock, 100) == []
    watch.sent()
    assert wait(watch, clock, PATIENCE - 1) == []


def test_of_a_lost_connection_nothing_is_expected(watch: ConfirmWatch, clock: Clock) -> None:
    watch.sent()
    assert len(wait(watch, clock, PATIENCE)) == 1
    watch.lost()
    assert len(wait(watch, clock, 100)) == 1
