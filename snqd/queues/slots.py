"""Slots: how many jobs run in this process, how many more may, and how many are worth claiming ahead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

CLAIM_AHEAD = 0.1
"""Seconds of work that a process claims beyond what it can start at once.

Jobs that take long are left to other processes until a slot is free; short ones wait here for theirs, so that no slot
is idle during a round trip to the store.
"""
LONGEST_WAIT = 0.5
"""Seconds of work that stay claimed beyond what can start at once, where such jobs are claimed ahead at all: a little
more came than was asked for, or they take a little longer than was thought."""
AT_LEAST_AHEAD = 0.04
"""Seconds of work that it claims ahead even where that is more jobs than it has slots: jobs that take next to nothing
cost a store less, and this process, the more of them come at once."""
TURN = 0.001
"""Seconds of work that a site may be given at once, before the next one's turn: jobs that take nothing would cost a
store more to find, each in another place, than they cost to run."""
MOST_IN_A_ROW = 4


class Slots:
    """Counts what runs, by queue, against limits.

    :param limit: jobs at once in this process.
    :param limits: for queues with a limit of their own.
    """

    def __init__(self, limit: int, limits: Mapping[str, int]) -> None:
        self._running: defaultdict[str, int] = defaultdict(int)
        self.running = 0
        self.set_limits(limit, limits)

    def set_limits(self, limit: int, limits: Mapping[str, int]) -> None:
        """Change the limits; what already runs beyond them runs to its end."""
        self.limit = limit
        self._limits = {queue: min(own, limit) for queue, own in limits.items()}

    def open_to(self, queue: str) -> bool:
        """Whether one more job of `queue` may start."""
        return self.running < self.limit and self._running[queue] < self.limit_of(queue)

    def take(self, queue: str) -> None:
        """A job of `queue` starts."""
        self.running += 1
        self._running[queue] += 1

    def free(self, queue: str) -> None:
        """A job of `queue` has ended."""
        self.running -= 1
        self._running[queue] -= 1

    def limit_of(self, queue: str) -> int:
        """Jobs of `queue` at once."""
        return self._limits.get(queue, self.limit)

    def room(self, queue: str, waiting: int, cost: float | None) -> int:
        """How many more jobs of `queue` to claim, 0 or more.

        :param waiting: claimed and not started.
        :param cost: seconds that such a job takes, None if that is not known yet.
        """
        return max(self._free(queue) + _ahead(self.limit_of(queue), cost) - waiting, 0)

    def surplus(self, queue: str, waiting: int, cost: float | None) -> int:
        """How many of the claimed jobs of `queue` to give back, 0 or more: where some can't start soon, all that are
        not worth claiming ahead.

        :param waiting: claimed and not started.
        :param cost: seconds that such a job takes, None if that is not known yet.
        """
        limit, free = self.limit_of(queue), max(self._free(queue), 0)
        ahead = _ahead(limit, cost)
        soon = int(limit * LONGEST_WAIT / cost) if cost and ahead else 0
        return max(waiting - free - ahead, 0) if waiting > free + soon else 0

    def _free(self, queue: str) -> int:
        return min(self.limit_of(queue) - self._running[queue], self.limit - self.running)


def _ahead(limit: int, cost: float | None) -> int:
    if cost is None:
        return 0
    most = max(limit, int(AT_LEAST_AHEAD / cost))
    return min(most, int(limit * CLAIM_AHEAD / cost))


def burst(cost: float | None) -> int:
    """How many jobs to claim of one site before the next one's turn, 1 or more.

    :param cost: seconds that such a job takes, None if that is not known yet.
    """
    return 1 if cost is None else max(min(int(TURN / cost), MOST_IN_A_ROW), 1)
