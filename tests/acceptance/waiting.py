"""Waiting for what another process does: by condition, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL = 0.05


def wait_until(predicate: Callable[[], T], timeout: float, message: str) -> T:
    """Ask `predicate` until it is true, and return what it said.

    :param timeout: seconds after which it is an AssertionError.
    :param message: what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {message}; at last it was {answer!r}"
        time.sleep(POLL_INTERVAL)
    return answer
