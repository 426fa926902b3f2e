"""What tests of several rooms need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged, as LEVEL: TEXT."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        lines.append(f"{event['log_level'].name}: {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)
