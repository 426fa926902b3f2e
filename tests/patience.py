"""Patience: how long tests wait for a condition, as measured on the machine that they run on.

A test names the seconds that a condition takes at most on a quiet machine. Where the machine is slower, or busy with
other things, the same condition gets as many times longer as a piece of work takes there now.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

T = TypeVar("T")

QUIET_MACHINE = 0.02
"""Seconds that the piece of work takes where the suite's times were chosen, while nothing else runs there."""
ROUNDS = 250_000
UNTIL = 20.0
"""Seconds on a quiet machine that most conditions get."""
POLL_INTERVAL = 0.02


def slowness() -> float:
    """How many times longer than a quiet machine this one takes for a piece of work now; at least 1."""
    started = time.perf_counter()
    total = 0
    for number in range(ROUNDS):
        total += number * number
    return max((time.perf_counter() - started) / QUIET_MACHINE, 1.0)


class Deadline:
    """The end of a wait.

    The machine is measured when the seconds of a quiet one are over, so that a wait that succeeds costs nothing.

    :param seconds: on a quiet machine.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._granted = seconds
        self._started = time.monotonic()

    def left(self) -> float:
        """Seconds that the condition still has; 0 or less when it has had its time."""
        waited = time.monotonic() - self._started
        if waited >= self._granted:
            self._granted = max(self._granted, self._seconds * slowness())
        return self._granted - waited

    def is_over(self) -> bool:
        """Whether the condition has had its time."""
        return self.left() <= 0


async def until(condition: Callable[[], Any], seconds: float = UNTIL) -> Any:
    """What `condition` gives, or what that fires with, once it is something.

    :param seconds: that it may take on a quiet machine.
    """
    deadline = Deadline(seconds)
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert not deadline.is_over(), f"the condition does not come true; at last it was {found!r}"
        await deferLater(reactor, POLL_INTERVAL)


def in_time(awaited: Deferred[T], seconds: float = UNTIL) -> Deferred[T]:
    """Cancel `awaited` when it is late.

    :param seconds: that it may take on a quiet machine.
    """
    deadline = Deadline(seconds)

    def look() -> None:
        nonlocal call
        left = deadline.left()
        if left > 0:
            call = reactor.callLater(left, look)
        else:
            awaited.cancel()

    def ended(result: Any) -> Any:
        if call.active():
            call.cancel()
        return result

    call = reactor.callLater(seconds, look)
    return awaited.addBoth(ended)
