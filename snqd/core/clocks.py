"""The clocks: Unix time for what is stored or shown, and for nothing else; steady ones for every duration.

The system's clock jumps: NTP, an operator or a resumed virtual machine sets it by seconds or hours, forward or back.
Whatever waits, times out or expires by it waits for hours then, or ends at once. ruff keeps everyone else from reading
the system's clocks, and mypy from passing a float of a steady clock where a date is wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NewType, cast

UnixTime = NewType("UnixTime", float)
"""A date: seconds since 1970, by a clock that jumps. The difference of two says little."""
Monotonic = NewType("Monotonic", float)
"""Seconds of a clock that never jumps and stands still while the machine is suspended: how long this process could
have worked. The reactor of a daemon, a child or snqctl counts them: `reactor.seconds()` is no date."""
BootTime = NewType("BootTime", float)
"""Seconds of a clock that never jumps and goes on while the machine is suspended: how long others could have waited."""

# Names, not functions: some are called for each job.
unix_time = cast(Callable[[], UnixTime], time.time)
monotonic = cast(Callable[[], Monotonic], time.monotonic)
boot_time = cast(Callable[[], BootTime], partial(time.clock_gettime, time.CLOCK_BOOTTIME))


def monotonic_of(reactor: Any) -> Callable[[], Monotonic]:
    """The steady clock by which the timers of `reactor` are set."""
    return cast(Callable[[], Monotonic], reactor.seconds)


def make_steady(reactor: Any) -> None:
    """Let every timer of `reactor`, a process's own, follow the monotonic clock.

    :raises RuntimeError: where a timer is set already, which would never be due.
    """
    if reactor.getDelayedCalls():
        raise RuntimeError("a timer was set before the reactor got its clock")
    reactor.seconds = monotonic
