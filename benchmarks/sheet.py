"""Sheet: where jobs note that they ran, snqd's and every peer's alike, and the clock that is held to it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

SERVICE = 0.005
"""Seconds that a job of a flood takes."""
LONGEST = 300.0
"""Seconds after which a measurement is given up."""
WARM_UP = 0.2
"""Part of the jobs that is not timed: until then some of the processes, snqd's and the peers' alike, still begin."""


class Sheet:
    """Two files in `folder`, appended to by any number of processes and threads: a byte costs a job about 1 us."""

    def __init__(self, folder: Path) -> None:
        self._tally_path, self._stamps_path = folder / "tally", folder / "stamps"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._tally = os.open(self._tally_path, flags, 0o600)
        self._stamps = os.open(self._stamps_path, flags, 0o600)

    def tally(self) -> None:
        """One more job ran."""
        os.write(self._tally, b".")

    def stamp(self, sent: float) -> None:
        """A job ran that was sent at `sent`, by the machine's monotonic clock."""
        os.write(self._stamps, b"%.6f\n" % (time.monotonic() - sent))

    def done(self) -> int:
        """How many jobs ran."""
        return os.fstat(self._tally).st_size

    def waits(self) -> list[float]:
        """Milliseconds that the stamped jobs waited."""
        return [float(line) * 1000 for line in self._stamps_path.read_text().splitlines()]

    def rate(self, number: int, warm_up: float = WARM_UP) -> float:
        """Jobs a second, of `number`, from the moment when a part of them has run to the last."""
        until(lambda: self.done() >= max(number * warm_up, 1), "the first jobs", pause=0.002)
        first, started = self.done(), time.monotonic()
        until(lambda: self.done() >= number, f"the last of {number} jobs", pause=0.002)
        return (self.done() - first) / (time.monotonic() - started)


def until(condition: Callable[[], bool], what: str, pause: float = 0.02) -> None:
    """Wait for it.

    :raises TimeoutError: if it takes too long.
    """
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {LONGEST:g} s")
        time.sleep(pause)
