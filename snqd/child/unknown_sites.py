"""UnknownSites: when a child asks for the sites to be looked up again, since jobs outrun the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

ASK_EVERY = 1.0
"""Seconds between two questions. A job that comes in between waits at least so long, and then asks itself."""
TELL_EVERY = 600.0
"""Seconds between two lines about the same site."""
MOST_TOLD = 1000
"""Sites that are remembered for that: their names come with jobs, and there is no end to them."""


class UnknownSites:
    """Asks once a second at most.

    :param ask: called when the sites should be looked up again.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, ask: Callable[[], Any]) -> None:
        self._clock = clock
        self._ask = ask
        self._asked = -ASK_EVERY
        self._told: dict[str, float] = {}

    def look_again(self) -> None:
        """Have the sites looked up again."""
        now = self._clock.seconds()
        if now - self._asked >= ASK_EVERY:
            self._asked = now
            self._ask()

    def missed(self, nickname: str) -> None:
        """A job came whose site is not configured."""
        self.look_again()
        now = self._clock.seconds()
        if now - self._told.get(nickname, -TELL_EVERY) >= TELL_EVERY:
            self._tell(nickname, now)

    def _tell(self, nickname: str, now: float) -> None:
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[nickname] = now
        self.log.warn("site {site} is not configured: its jobs wait until it is", site=nickname)
