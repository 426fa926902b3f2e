"""Sends jobs by a peer's own client, and prints how many a second.

``python -m benchmarks.peers.send MODULE fill|each|stamps ARGUMENT...``
"""

from __future__ import annotations

import importlib
import json
import sys
import time


def main(module: str, how: str, *words: str) -> float:
    """Send; returns jobs a second."""
    jobs = importlib.import_module(f"benchmarks.peers.{module}")
    arguments = [json.loads(word) for word in words]
    started = time.monotonic()
    globals()[how](jobs, *arguments)
    return arguments[-1] / (time.monotonic() - started)


def fill(jobs: object, task: str, argument: object, number: int) -> None:
    """`number` jobs, by the fastest way that the peer offers."""
    jobs.fill(task, argument, number)  # type: ignore[attr-defined]


def each(jobs: object, number: int) -> None:
    """`number` no-op jobs, each confirmed before the next is sent."""
    for _ in range(number):
        jobs.send("noop", None)  # type: ignore[attr-defined]


def stamps(jobs: object, apart: float, number: int) -> None:
    """`number` single jobs that note how long they have waited."""
    for _ in range(number):
        jobs.send("stamp", time.monotonic())  # type: ignore[attr-defined]
        time.sleep(apart)


print(main(*sys.argv[1:]))
