from __future__ import annotations

from random import Random

import pytest
from twisted.internet.task import Clock

from snqd.stores.standby import AT_LEAST, AT_MOST, IN_VAIN, Standby


class Process:
    """One that hears, and what its looks bring."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.looks = 0
        self.standby = Standby(self.clock, Random(1), self._look)

    def _look(self) -> None:
        self.looks += 1

    def hear(self, brings: int) -> None:
        before = self.looks
        self.standby.heard()
        if self.looks > before:
            self.standby.claimed(brings)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def second(process: Process) -> Process:
    """One that has looked in vain as often as it takes."""
    for _ in range(IN_VAIN):
        process.hear(brings=0)
    return process


def test_a_process_looks_at_once_at_first(process: Process) -> None:
    process.hear(brings=1)
    assert process.looks == 1


def test_one_look_in_vain_behind_a_claim_that_had_all_changes_nothing(process: Process) -> None:
    for _ in range(5):
        process.hear(brings=1)
        process.hear(brings=0)
    assert process.looks == 10


def test_who_looked_in_vain_lets_the_others_go_first_and_then_looks_once(second: Process) -> None:
    before = second.looks
    second.hear(brings=0), second.hear(brings=0)
    second.clock.advance(AT_LEAST * 0.99)
    assert second.looks == before
    second.clock.advance(AT_MOST)
    assert second.looks == before + 1


def test_who_finds_a_job_that_the_first_one_left_goes_first_itself(second: Process) -> None:
    second.hear(brings=0)
    second.clock.advance(AT_MOST)
    second.standby.claimed(1)
    before = second.looks
    second.hear(brings=1)
    assert second.looks == before + 1


def test_looks_that_nobody_asked_for_do_not_count(process: Process) -> None:
    for _ in range(IN_VAIN + 1):
        process.standby.claimed(0)
    process.hear(brings=1)
    assert process.looks == 1


def test_nothing_is_looked_for_after_the_end(second: Process) -> None:
    second.standby.heard()
    second.standby.stop()
    assert not second.clock.getDelayedCalls()
