"""Dates: a system's clock beside the steady one, which a test sets as an operator or NTP would."""

from __future__ import annotations

from typing import Any

from snqd.core.clocks import UnixTime

START = 1_800_000_000.0
"""Far from what steady clocks say, so that one taken for the other shows."""
STEPS = (-10_800.0, -600.0, 700.0, 10_800.0)
"""Seconds by which a clock is set back or forward."""


class Dates:
    """Unix time that goes on with `clock`; call it to know it.

    :param clock: steady, such as :class:`twisted.internet.task.Clock`.
    """

    def __init__(self, clock: Any, start: float = START) -> None:
        self._clock = clock
        self._ahead = start - clock.seconds()

    def __call__(self) -> UnixTime:
        return UnixTime(self._clock.seconds() + self._ahead)

    def step(self, seconds: float) -> None:
        """Set the system's clock, back where `seconds` is negative."""
        self._ahead += seconds
