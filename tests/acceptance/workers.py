"""How many children take jobs while a test does something to the daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from farm import NOT_UP, Farm

from snqd.core.errors import SnqdError
from snqd.ops.control import call


@contextmanager
def counting_workers(farm: Farm) -> Iterator[list[int]]:
    """How many children took jobs, asked again and again meanwhile."""
    counts: list[int] = []
    end = threading.Event()

    def count() -> None:
        while not end.wait(0.05):
            try:
                groups = call(farm.state_dir / "control.sock", "status")["groups"]
            except SnqdError:
                continue
            counts.append(sum(child["state"] not in NOT_UP for group in groups for child in group["children"]))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        end.set()
        thread.join()
