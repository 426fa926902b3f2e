"""Which children hang: no heartbeat for `hang_timeout`, the time in which the watcher itself did not run left out.

A child that loads code or configuration sends no heartbeat meanwhile. How long that takes depends on the machine and on
the installed libraries, not on the handlers that `hang_timeout` is set for. So a longer limit holds then.
"""

from __future__ import annotations

from collections import deque

LOOK_EVERY = 1.0
"""Seconds from one look to the next."""
BOOT_TIMEOUT = 300.0
"""Seconds without a heartbeat that are too many for a child that boots or loads. A boot takes a few seconds; a hundred
times as long is left for slow disks, busy machines and large libraries, since a child that boots holds no jobs."""
LATE = 2.0
"""Seconds between two looks that tell that this process did not run (stopped, swapped out, laptop closed)."""


class HangWatch:
    """Looks every `LOOK_EVERY` seconds.

    :param timeout: seconds without a heartbeat that are too many for a child that works.
    :param now: seconds on the clock of all other times given.
    """

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._looked = now
        self._begun = now
        # Each leaves a look's time of its own, so that more of them than that make a whole timeout.
        self._lost: deque[tuple[float, float]] = deque(maxlen=int(self.limit(loading=True) / LOOK_EVERY) + 2)

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

    def limit(self, loading: bool) -> float:
        """Seconds for which a child may be silent.

        :param loading: whether it boots, or loads what another configuration needs.
        """
        return max(self._timeout, BOOT_TIMEOUT) if loading else self._timeout

    def silence(self, last_beat: float, loading: bool = False) -> float | None:
        """Seconds for which a child has been silent, if they are too many; `loading` as for :meth:`limit`."""
        silent = self.silent_for(last_beat)
        return silent if silent > self.limit(loading) else None

    def silent_for(self, last_beat: float) -> float:
        """Seconds for which a child has been silent while this process ran."""
        since = max(last_beat, self._begun)
        return self._looked - since - sum(end - max(begin, since) for begin, end in self._lost if end > since)
