"""What all tests share: how hypothesis runs, and a watch over timers that a unit test leaves behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import hypothesis
import pytest

# No deadline: a loaded machine is no bug. In CI the same examples every time, and how to repeat the one that failed.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(autouse=True)
def _no_timer_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test has a clock of its own; one that leaves a timer in the real reactor has used the wrong one."""
    before = _timers()
    yield
    if "unit" in request.path.parts:
        left = _timers() - before
        assert not left, f"the test left timers in the reactor: {left}"


def _timers() -> set[object]:
    reactor = sys.modules.get("twisted.internet.reactor")
    return set(reactor.getDelayedCalls()) if reactor is not None else set()  # type: ignore[attr-defined]
