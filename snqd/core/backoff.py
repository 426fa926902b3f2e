"""Waiting longer after each failure, so that what is down is not hammered and what is up again is soon found."""

from __future__ import annotations

from random import Random

import attrs


@attrs.define
class Backoff:
    """Delays that double from `first` to `longest` seconds, each shortened by up to a quarter at random."""

    first: float
    longest: float
    random: Random
    failures: int = 0

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        delay: float = min(self.first * 2 ** min(self.failures, 64), self.longest)
        self.failures += 1
        return delay * (1 - self.random.random() / 4)

    def succeeded(self) -> None:
        """Start anew."""
        self.failures = 0
