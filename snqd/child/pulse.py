"""Pulse: what a child tells its parent once a second, and at once when it has done its first job."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from snqd.child.parts import Parts
from snqd.pipe.child_spec import STANDBY, YOUNG
from snqd.pipe.periodic import PeriodicCall

BEAT_EVERY = 1.0
FIRST_JOB_LOOK_EVERY = 0.1
MOST_ROWS = 2000
"""Counters in one heartbeat; where ten thousand sites are busy at once, the others come with the next ones."""


class Pulse:
    """Heartbeats: each carries a report, and the counters since the one before.

    :param send: a heartbeat to the parent; fires when it is answered, or never will be.
    :param look_at: is given each report before it is sent.
    :ivar parts: what is reported of; None while the child boots.
    :ivar standby: whether the child does nothing yet, since another process goes first.
    """

    def __init__(
        self, reactor: Any, send: Callable[[dict[str, Any]], Deferred[Any]], look_at: Callable[[dict[str, Any]], None]
    ) -> None:
        self.parts: Parts | None = None
        self.standby = False
        self._reactor = reactor
        self._send = send
        self._look_at = look_at
        self._handled = 0
        self._beats = self._looping(self.beat)
        self._first_job = self._looping(self._look_for_first_job)

    def _looping(self, call: Callable[[], Any]) -> PeriodicCall:
        return PeriodicCall(self._reactor, call)

    def begin(self) -> None:
        """Beat from now on."""
        self._beats.start(BEAT_EVERY)

    def look_for_first_job(self) -> None:
        """The parent should know that this child did work even if it dies before its first second is over."""
        self._first_job.start(FIRST_JOB_LOOK_EVERY)
        self._reactor.callLater(YOUNG, self._stop_looking)

    def stop(self) -> None:
        """Beat no more by itself."""
        if self._beats.running:
            self._beats.stop()
        self._stop_looking()

    def beat(self, last: bool = False) -> Deferred[Any]:
        """Send a heartbeat now, the `last` one with all that is counted; fires as `send` does."""
        figures = self.figures(None if last else MOST_ROWS)
        self._look_at(figures["report"])
        return self._send(figures)

    def figures(self, most: int | None = MOST_ROWS) -> dict[str, Any]:
        """A report, and `most` of the counters that have changed since the last one, those first that wait longest."""
        if self.parts is None:
            return {"report": {"state": "init", "rss_bytes": rss_bytes()}, "counters": []}
        counters = self.parts.counters.take(most)
        self._handled += sum(handled for _, _, _, handled, *_ in counters)
        counted = {"handled": self._handled, "settled": self.parts.counters.settled, "rss_bytes": rss_bytes()}
        state = {"state": STANDBY} if self.standby else {}
        return {"report": {**self.parts.io_master.report(), **state, **counted}, "counters": counters}

    def _look_for_first_job(self) -> None:
        if self.parts is not None and self.parts.counters.settled:
            self._stop_looking()
            self.beat()

    def _stop_looking(self) -> None:
        if self._first_job.running:
            self._first_job.stop()


def rss_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
