"""What the peers' jobs do, and where: :mod:`benchmarks.peers.crew` says it by the environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.sheet import Sheet

URL = os.environ["SNQD_BENCHMARK_URL"]
NAME = os.environ["SNQD_BENCHMARK_NAME"]
"""A queue's name that no run has had yet."""
SHEET = Sheet(Path(os.environ["SNQD_BENCHMARK_SHEET"]))


def noop(_: object = None) -> None:
    """Nothing."""
    SHEET.tally()


def wait(seconds: float) -> None:
    """Waits in its thread."""
    time.sleep(seconds)
    SHEET.tally()


def stamp(sent: float) -> None:
    """Notes how long it has waited."""
    SHEET.stamp(sent)
