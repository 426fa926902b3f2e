"""When the children of a group have grown too large, and whether the limit is one that a child can keep to."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

import attrs

ROOM = 1.25
"""A child may always have so many times what a fresh one needs: with less, nothing is won by replacing it."""
CHILDREN_REMEMBERED = 5
"""Children from which is learned what a fresh one needs."""
FIRST_JOBS = 50
"""A first report after no more jobs than that tells what a child needs, not what it has leaked."""
SHORT_LIFE = 10.0
"""Seconds from readiness within which few jobs can't have leaked much."""
FEW_JOBS = 20
SHORT_LIVES = 3
"""So many children in a row that were full at once tell that the limit leaves no room for work."""
MOST_OVER = 2
"""Times the limit that a child may have at most, however much it seems to need."""


class Verdict(Enum):
    """What a report of a child tells."""

    FINE = "fine"
    FULL = "the child has reached the limit"
    TOO_LOW = "the limit is below what a fresh child needs"


@attrs.frozen
class Sample:
    """One report of a child that is up.

    :ivar incarnation: of the process.
    :ivar rss_bytes: its resident memory.
    :ivar ready_for: seconds since it became ready.
    :ivar settled: jobs that it has settled.
    """

    incarnation: str
    rss_bytes: int
    ready_for: float
    settled: int


class MemoryWatch:
    """Judges the reports of one group's children.

    A limit that a fresh child can't keep to would have it replaced without end. So what fresh children need is learned,
    from their first reports and from children that were full before they did any work to speak of, and a child is
    replaced only where it has reached the limit and has more than that, with some room.

    :param limit_bytes: the soft limit.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._first_reports: OrderedDict[str, int] = OrderedDict()
        self._needed_for_work = 0
        self._short_lives = 0
        self._full = ""
        self._told = False

    @property
    def need_bytes(self) -> int:
        """What a fresh child needs, as far as is known; 0 at first."""
        return max(min(self._first_reports.values(), default=0), self._needed_for_work)

    @property
    def trigger_bytes(self) -> int:
        """At how much a child is replaced."""
        return max(self.limit_bytes, int(self.need_bytes * ROOM))

    def judge(self, sample: Sample) -> Verdict:
        """What to do about a child; `TOO_LOW` is said once."""
        self._learn(sample)
        full = sample.rss_bytes >= self.trigger_bytes
        if full and sample.incarnation != self._full:
            self._full = sample.incarnation
            self._count(sample)
        if self.need_bytes >= self.limit_bytes and not self._told:
            self._told = True
            return Verdict.TOO_LOW
        return Verdict.FULL if full else Verdict.FINE

    def _learn(self, sample: Sample) -> None:
        if sample.incarnation not in self._first_reports and sample.settled <= FIRST_JOBS:
            self._first_reports[sample.incarnation] = sample.rss_bytes
            if len(self._first_reports) > CHILDREN_REMEMBERED:
                self._first_reports.popitem(last=False)

    def _count(self, sample: Sample) -> None:
        short = sample.ready_for < SHORT_LIFE and sample.settled < FEW_JOBS
        self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives == SHORT_LIVES:
            self._short_lives = 0
            self._needed_for_work = min(sample.rss_bytes, int(MOST_OVER / ROOM * self.limit_bytes))
