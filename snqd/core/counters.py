"""Counters: what became of the jobs, counted in one place where outcomes settle; every monitor only reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import attrs

RATE_WINDOW = 10.0
"""Seconds over which a rate is averaged; what is older weighs less and less."""


@attrs.define
class Tally:
    """What was counted for one queue of one site; `seconds` is how long handlers were occupied."""

    enqueued: int = 0
    handled: int = 0
    retried: int = 0
    dead: int = 0
    seconds: float = 0.0

    def numbers(self) -> tuple[int, int, int, int, float]:
        """All of it, in the order of the fields: `attrs.astuple` takes more than ten times as long."""
        return self.enqueued, self.handled, self.retried, self.dead, self.seconds


class Counters:
    """What one child counted since it was last asked."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.settled = 0

    def of(self, queue: str, site: str) -> Tally:
        """The tally to count in."""
        tally = self._tallies.get((queue, site))
        if tally is None:
            tally = self._tallies[queue, site] = Tally()
        return tally

    def take(self, most: int | None = None) -> list[list[Any]]:
        """Rows ``[queue, site, enqueued, handled, retried, dead, seconds]`` since the last take.

        :param most: how many rows, those first that have waited longest; None for all.
        """
        if most is None or most >= len(self._tallies):
            taken, self._tallies = self._tallies, {}
        else:
            taken = {key: self._tallies.pop(key) for key in list(islice(self._tallies, most))}
        return [[queue, site, *tally.numbers()] for (queue, site), tally in taken.items()]


@attrs.define
class Total:
    """A tally since the daemon's start, with its rate."""

    tally: Tally = attrs.field(factory=Tally)
    _rate: float = 0.0
    _at: float = 0.0

    def add(self, row: Sequence[Any], now: float) -> None:
        """Add the numbers of a row of :meth:`Counters.take`, counted just before `now`."""
        tally = self.tally
        enqueued, handled, retried, dead, seconds = row
        tally.enqueued += enqueued
        tally.handled += handled
        tally.retried += retried
        tally.dead += dead
        tally.seconds += seconds
        self._rate = self.rate(now) + handled / RATE_WINDOW
        self._at = now

    def rate(self, now: float) -> float:
        """Jobs handled per second lately; what a clock that was set back calls the future counts as now."""
        return self._rate * math.exp(min(self._at - now, 0.0) / RATE_WINDOW)


class Totals:
    """What all children of a daemon counted since its start, by queue and site."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, str], Total] = {}

    def add(self, rows: Iterable[Sequence[Any]], now: float) -> None:
        """Add what :meth:`Counters.take` gave.

        :param now: seconds on any steady clock, the same at every call.
        """
        for queue, site, *numbers in rows:
            self._totals.setdefault((queue, site), Total()).add(numbers, now)

    def rows(self) -> Iterator[tuple[str, str, Total]]:
        """Queue, site and total."""
        for (queue, site), total in self._totals.items():
            yield queue, site, total
