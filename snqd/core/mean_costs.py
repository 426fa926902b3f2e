"""MeanCosts: what a job of each queue takes today, in seconds of a handler."""

from __future__ import annotations

from collections.abc import Mapping

_MEMORY = 0.1
"""How much of a mean the latest job makes."""


class MeanCosts:
    """What the jobs of a queue took lately, those of all sites together.

    A mean of jobs that ended knows nothing of those that run: where all of a queue's running jobs have run for longer
    than the mean, the shortest of those times is the better estimate, until one of them ends.
    """

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._least: dict[str, float] = {}

    def expected(self, queue: str) -> float | None:
        """What the next job of `queue` will take; None before the first has ended."""
        mean = self._means.get(queue)
        if self._least and mean is not None:
            return max(mean, self._least.get(queue, 0.0))
        return mean

    def add(self, queue: str, seconds: float) -> None:
        """One more job has ended."""
        self._means[queue] = moved(self._means.get(queue), seconds)
        if self._least:
            self._least.pop(queue, None)

    def still_running(self, ages: Mapping[str, float]) -> None:
        """The jobs that run now have run for at least so many seconds, by queue."""
        self._least = dict(ages)


def moved(mean: float | None, seconds: float) -> float:
    """A mean after one more job."""
    return seconds if mean is None else mean + (seconds - mean) * _MEMORY
