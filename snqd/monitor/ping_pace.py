"""How often things may happen: a capped rate for pings, a line a minute for the log; the clock passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snqd.core.clocks import Monotonic

LOG_EVERY = 60.0


class TokenBucket:
    """Caps a rate.

    :param now: a steady clock.
    :param rate: tokens a second.
    :param burst: tokens at most, and at first.
    """

    def __init__(self, now: Callable[[], Monotonic], rate: float, burst: float) -> None:
        self._now = now
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled = now()

    def take(self, wanted: int) -> int:
        """How many of `wanted` are allowed now."""
        now = self._now()
        # A clock that was set back gives nothing.
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled) * self._rate)
        self._filled = now
        allowed = min(wanted, int(self._tokens))
        self._tokens -= allowed
        return allowed


class MinuteLog:
    """Says at once what happens first, and then once a minute what has happened since.

    :param say: called with the count and the last detail.
    """

    def __init__(self, clock: Any, say: Callable[[int, str], None]) -> None:
        self._clock = clock
        self._say = say
        self._count = 0
        self._detail = ""
        self._timer: Any = None

    def note(self, detail: str = "", count: int = 1) -> None:
        """It happened `count` times."""
        self._count += count
        self._detail = detail
        if self._timer is None:
            self._tell()

    def close(self) -> None:
        """Say what is left to say."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._count:
            self._say(self._count, self._detail)
            self._count = 0

    def _tell(self) -> None:
        self._timer = None
        if self._count:
            self._say(self._count, self._detail)
            self._count = 0
            self._timer = self._clock.callLater(LOG_EVERY, self._tell)
