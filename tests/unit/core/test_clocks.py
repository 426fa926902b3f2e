"""The clocks, and how a process's reactor gets a steady one."""

from __future__ import annotations

import time

import pytest
from twisted.internet.task import Clock

from snqd.core.clocks import boot_time, make_steady, monotonic, monotonic_of, unix_time


def test_dates_are_the_systems_and_the_others_count_from_the_machines_start() -> None:
    assert time.time() - 60 < unix_time() <= time.time()
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - 60 < monotonic() <= time.clock_gettime(time.CLOCK_MONOTONIC)
    # A suspended machine counts for the second of them alone.
    assert monotonic() <= boot_time() + 0.001


def test_a_reactor_follows_the_monotonic_clock_from_the_first_timer_on() -> None:
    reactor = Clock()
    make_steady(reactor)
    assert abs(reactor.seconds() - monotonic()) < 60
    assert monotonic_of(reactor) is monotonic


def test_a_timer_that_was_set_by_another_clock_is_an_error() -> None:
    reactor = Clock()
    reactor.callLater(1, print)
    with pytest.raises(RuntimeError, match="a timer was set before"):
        make_steady(reactor)
    assert reactor.seconds() == 0.0
