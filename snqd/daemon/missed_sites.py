"""MissedSites: when a child asks for the sites to be looked up again, since jobs outrun the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

ASK_EVERY = 1.0
"""Seconds between two questions. A job that comes in between waits at least so long, and then asks itself."""


class MissedSites:
    """Asks once a second at most.

    :ivar ask: called when the sites should be looked up again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._asked = -ASK_EVERY
        self.ask: Callable[[], Any] = lambda: None

    def missed(self, nickname: str) -> None:
        """A job came whose site is not configured."""
        now = self._clock.seconds()
        if now - self._asked >= ASK_EVERY:
            self._asked = now
            self.ask()
