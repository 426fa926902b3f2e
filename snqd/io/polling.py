"""Polling with StatusNet's back-off: when a manager's poll is due, and the loop that calls it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.io.interface import IIoManager, eventually

FIRST_WAIT = 1.0


class PollSchedule:
    """Decides how long to wait for the next poll: not at all after a hit, and 1, 2, 4 ... seconds after misses.

    :param interval: the longest wait, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._wait = FIRST_WAIT

    def after(self, hit: bool) -> float:
        """Seconds until the next poll, the last one having been a hit or a miss."""
        if hit:
            self._wait = FIRST_WAIT
            return 0.0
        wait = min(self._wait, self._interval)
        self._wait = min(self._wait * 2, max(self._interval, FIRST_WAIT))
        return wait


class PollLoop(Service):
    """Polls one manager as its schedule says. A poll that raises is logged and counts as a miss.

    :param polling: called with the manager's name before each poll.
    :param hit: called with the manager's name after a poll that found something.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        manager: IIoManager,
        polling: Callable[[str], None],
        hit: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self.manager = manager
        self._polling = polling
        self._hit = hit
        self._schedule = PollSchedule(manager.poll_interval)
        self._timer: IDelayedCall | None = None
        self._poll: Deferred[None] | None = None

    def startService(self) -> None:
        """Poll for the first time at the reactor's next turn."""
        super().startService()  # type: ignore[no-untyped-call]
        self._timer = self._clock.callLater(0, self._turn)

    def stopService(self) -> Deferred[None] | None:
        """Poll no more; fires when the poll under way has ended."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._poll

    def _turn(self) -> None:
        self._timer = None
        self._polling(self.manager.name)
        poll = eventually(self.manager.poll)
        ended: Deferred[None] = Deferred()
        self._poll = ended
        poll.addErrback(self._log_failure).addCallback(self._polled).addBoth(lambda _: ended.callback(None))

    def _log_failure(self, failure: Failure) -> bool:
        self.log.failure("I/O manager {name}: poll failed", failure, name=self.manager.name)
        return False

    def _polled(self, hit: bool) -> None:
        self._poll = None
        if hit:
            self._hit(self.manager.name)
        if self.running:
            self._timer = self._clock.callLater(self._schedule.after(hit), self._turn)
