"""Standby: of all processes that hear of a job, one looks for it at once, the others a moment later."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

AT_LEAST, AT_MOST = 0.004, 0.008
"""Seconds that a process on standby lets others go first."""
IN_VAIN = 2
"""How many looks in a row must bring nothing before a process stands by: one may, after a claim that had all."""


class Standby:
    """Passes on what a process hears. If all looked at once for one job, the one that gets it would get it later: they
    take each other's processors and locks.

    Whose looks bring jobs goes first, the others stand by. They need not agree on that: of several that go first all
    but one find nothing, and if the first one is busy or gone, another takes its place a moment later.

    :param look: looks for jobs.
    """

    def __init__(self, clock: IReactorTime, random: Random, look: Callable[[], Any]) -> None:
        self._clock = clock
        self._random = random
        self._look = look
        self._heard = False
        self._vain = 0
        self._later: IDelayedCall | None = None

    def heard(self) -> None:
        """There may be jobs, and others hear that as well."""
        if self._vain < IN_VAIN:
            self._heard = True
            self._look()
        elif self._later is None:
            self._later = self._clock.callLater(self._random.uniform(AT_LEAST, AT_MOST), self._go)

    def claimed(self, number: int) -> None:
        """A claim has brought so many jobs."""
        if number:
            self._vain = 0
        elif self._heard:
            self._vain += 1
        self._heard = False

    def stop(self) -> None:
        """Look no more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _go(self) -> None:
        self._later = None
        self._look()
