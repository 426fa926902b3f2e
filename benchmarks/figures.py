"""What a measurement gives: figures, each with what it is held against."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

import attrs

_PART = re.compile(r"(?:(under|over|ratio) )?([\d,]*\.?\d+)(?! x )\b(?:[ :].*)?")


@attrs.frozen
class Figure:
    """One line of the result.

    :ivar peer: what was measured beside it in the same run, and its value in the same unit.
    :ivar goal: as text, empty where there is none; "ratio 0.8" is held against the peer of this line, a number alone is
        the least that will do where the unit is a rate, and the most otherwise.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    goal: str = ""
    note: str = ""

    @property
    def ratio(self) -> str:
        """Value to peer."""
        return f"{self.value / self.peer_value:.2f}" if self.peer_value else ""

    @property
    def judged(self) -> str:
        """The goal, each part of it met or not; "2 x NAME" is left open, since NAME has a line of its own."""
        return "; ".join(self._judged(part) for part in self.goal.split("; "))

    def _judged(self, part: str) -> str:
        found = _PART.fullmatch(part)
        if found is None or (found[1] == "ratio" and not self.peer_value):
            return part
        limit = float(found[2].replace(",", ""))
        value = self.value / (self.peer_value or 1) if found[1] == "ratio" else self.value
        least = found[1] in ("over", "ratio") or (not found[1] and self.unit.endswith("/s"))
        met = value >= limit if least else value <= limit
        return f"{part} ({'met' if met else 'not met'})"


def formatted(value: float | None) -> str:
    """A number as people read it."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def jain(values: Sequence[float]) -> float:
    """Jain's index: 1 where all have the same, 1/n where one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


median = statistics.median
