"""When a child starts, and when one that ended comes back."""

from __future__ import annotations

from random import Random

import attrs

from snqd.pipe import exit_codes
from snqd.pipe.child_spec import YOUNG

SHORTEST_DOUBLED = 0.1
"""Seconds from which the wait doubles where `spawndelay` is less, so that a child that can't start is no busy loop."""
START_AT_ONCE = 8
"""Children of a group that start at the same moment; the others follow at random, so that they do not all come upon the
store and the processors together."""
START_SPREAD = 0.1
"""Seconds by which each further child widens the time over which they start."""


@attrs.frozen
class Life:
    """How a child lived.

    :ivar ready_for: seconds from its readiness to its end, None if it never became ready.
    :ivar settled: jobs that it settled.
    :ivar exit_code: None if a signal killed it.
    """

    ready_for: float | None
    settled: int = 0
    exit_code: int | None = None

    @property
    def died_young(self) -> bool:
        """Whether it never became ready, or ended soon after and without any work done."""
        return self.ready_for is None or (not self.settled and self.ready_for < YOUNG)


class RestartPolicy:
    """Back after `spawndelay`; twice as long after each further young death, up to `max_delay` (seconds).

    What is longer than `spawndelay` is shortened by up to a quarter at random, so that children that died together do
    not come back together.
    """

    def __init__(self, spawndelay: float, max_delay: float, random: Random) -> None:
        self._random = random
        self._spawndelay = spawndelay
        self.max_delay = max_delay
        self._young_deaths = 0

    def set_pace(self, spawndelay: float, max_delay: float) -> None:
        """Other waits from now on."""
        self._spawndelay, self.max_delay = spawndelay, max_delay

    def delay_after(self, life: Life) -> float:
        """Seconds until the next one after a child that lived so."""
        self._young_deaths = self._young_deaths + 1 if life.died_young else 0
        if self._young_deaths <= 1:
            asked_for_it = life.exit_code == exit_codes.RESTART and life.ready_for is not None
            return 0.0 if asked_for_it else self._spawndelay
        doubled: float = max(self._spawndelay, SHORTEST_DOUBLED) * 2 ** min(self._young_deaths - 1, 32)
        return max(self._spawndelay, min(doubled, self.max_delay) * (1 - self._random.random() / 4))

    def first_delay(self, n: int) -> float:
        """Seconds until the first child in place `n` starts, after its group did."""
        return self._random.random() * START_SPREAD * max(n - START_AT_ONCE, 0)
