"""When a child that ended comes back."""

from __future__ import annotations

import attrs

from snqd.daemon import exit_codes

YOUNG = 5.0
"""Seconds after its readiness by which a child should have settled a job."""
SHORTEST_DOUBLED = 0.1
"""Seconds from which the wait doubles where `spawndelay` is less, so that a child that can't start is no busy loop."""


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
    """Back after `spawndelay`; twice as long after each further young death, up to `max_delay` (seconds)."""

    def __init__(self, spawndelay: float, max_delay: float) -> None:
        self._spawndelay = spawndelay
        self.max_delay = max_delay
        self._young_deaths = 0

    def delay_after(self, life: Life) -> float:
        """Seconds until the next one after a child that lived so."""
        if life.exit_code == exit_codes.RESTART and life.ready_for is not None:
            return 0.0
        if not life.died_young:
            self._young_deaths = 0
            return self._spawndelay
        self._young_deaths += 1
        if self._young_deaths == 1:
            return self._spawndelay
        doubled: float = max(self._spawndelay, SHORTEST_DOUBLED) * 2 ** min(self._young_deaths - 1, 32)
        return max(self._spawndelay, min(doubled, self.max_delay))
