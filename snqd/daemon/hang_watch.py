"""Which children hang: no heartbeat for `hang_timeout`, the time in which the watcher itself did not run left out."""

from __future__ import annotations

from collections import deque

LOOK_EVERY = 1.0
"""Seconds from one look to the next."""
LATE = 2.0
"""Seconds between two looks that tell that this process did not run (stopped, swapped out, laptop closed)."""


class HangWatch:
    """Looks every `LOOK_EVERY` seconds.

    :param timeout: seconds without a heartbeat that are too many.
    :param now: seconds on the clock of all other times given.
    """

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._looked = now
        self._begun = now
        # Each leaves a look's time of its own, so that more of them than that make a whole timeout.
        self._lost: deque[tuple[float, float]] = deque(maxlen=int(timeout / LOOK_EVERY) + 2)

    def look(self, now: float) -> float:
        """Begin a look; returns the seconds for which this process did not run since the last one.

        Heartbeats of that time could not be heard, so no child is blamed for it.
        """
        lost = 0.0
        if now < self._looked:
            self._begun = now
            self._lost.clear()
        elif now - self._looked > LATE:
            lost = now - self._looked - LOOK_EVERY
            self._lost.append((now - lost, now))
        self._looked = now
        return lost

    def silence(self, last_beat: float) -> float | None:
        """Seconds for which a child has been silent, if they are too many."""
        silent = self.silent_for(last_beat)
        return silent if silent > self._timeout else None

    def silent_for(self, last_beat: float) -> float:
        """Seconds for which a child has been silent while this process ran."""
        since = max(last_beat, self._begun)
        return self._looked - since - sum(end - max(begin, since) for begin, end in self._lost if end > since)
