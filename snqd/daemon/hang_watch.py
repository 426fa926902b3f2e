"""Which children hang: no heartbeat for `hang_timeout`, unless the watcher itself was stopped meanwhile."""

from __future__ import annotations

LATE = 5.0
"""Seconds between two looks that tell that this process did not run (stopped, swapped out, laptop closed)."""


class HangWatch:
    """Looks about once a second.

    :param timeout: seconds without a heartbeat that are too many.
    :param now: seconds on the clock of all other times given.
    """

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._looked = now
        self._pardoned = now

    def look(self, now: float) -> None:
        """Begin a look: if it comes late, heartbeats could not be heard, and every child gets its whole time again."""
        if now - self._looked > LATE or now < self._looked:
            self._pardoned = now
        self._looked = now

    def silence(self, last_beat: float) -> float | None:
        """Seconds for which a child has been silent, if they are too many."""
        silent = self._looked - max(last_beat, self._pardoned)
        return silent if silent > self._timeout else None
