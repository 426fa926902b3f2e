"""Tenure: for how long what a process has claimed is certainly its own."""

from __future__ import annotations

import math


class LeaseLost(Exception):
    """The store no longer knows this process: its claims were given to others."""


class Tenure:
    """Of all that was claimed under one epoch.

    A process that stood still (SIGSTOP, a suspended machine, a handler that blocks) does not notice, and others take
    its jobs meanwhile. So it compares this with the boot clock before it begins a job.

    :ivar until: by the boot clock; from then on the jobs may be others'. Infinite where nobody takes them from a
        process that lives; minus infinity once they are others'.
    """

    __slots__ = ("until",)

    def __init__(self, until: float = math.inf) -> None:
        self.until = until

    def extend(self, until: float) -> None:
        """The store has confirmed it, unless it has ended before."""
        if not self.ended:
            self.until = until

    def end(self) -> None:
        """The jobs are others'."""
        self.until = -math.inf

    @property
    def ended(self) -> bool:
        """Whether the jobs are others' for certain."""
        return self.until == -math.inf


ENDLESS = Tenure()
"""Where a process's jobs are its own as long as it lives."""
LOST = Tenure(-math.inf)
"""Of jobs that are others'."""
