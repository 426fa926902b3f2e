"""Waiting for what another process does: by condition, with an end that a slow or busy machine puts off."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.patience import slowness

T = TypeVar("T")

POLL_INTERVAL = 0.05
SPARE = 2
"""How many times as long as measured a wait may take: load comes and goes."""
LONGEST_WAIT = 240.0
"""Seconds that no wait exceeds; pytest's own limit for a test, which ends the whole run, lies above."""


def wait_until(predicate: Callable[[], T], timeout: float, message: str) -> T:
    """Ask `predicate` until it is true, and return what it said.

    :param timeout: seconds that are more than enough on a quiet machine. When they are over, `slowness` is measured and
        the wait goes on for as much longer. After that it is an AssertionError.
    :param message: what was waited for.
    """
    began = time.monotonic()
    patience = timeout
    measured = False
    while not (answer := predicate()):
        waited = time.monotonic() - began
        if waited >= patience and not measured:
            measured = True
            patience = max(timeout, min(timeout * SPARE * slowness(), LONGEST_WAIT))
        elif waited >= patience:
            raise AssertionError(f"waited {waited:.3g} s for {message}; at last it was {answer!r}")
        time.sleep(POLL_INTERVAL)
    return answer


def exit_code(process: subprocess.Popen[Any], timeout: float) -> int:
    """Wait for the end of `process`, as :func:`wait_until` does, and return its exit code."""
    wait_until(lambda: process.poll() is not None, timeout, f"the end of process {process.pid}")
    return process.wait()
