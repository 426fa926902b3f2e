"""How long a solo child waits for another suspect before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATIENCE = 10.0
"""Seconds."""


class SingleProcessTimeout:
    """Looks at a solo child's reports."""

    def __init__(self) -> None:
        self._settled = -1
        self._since = 0.0

    def exhausted(self, report: Mapping[str, Any], now: float) -> bool:
        """Whether nothing was in flight and nothing was settled for `PATIENCE` seconds."""
        if report["in_flight"] or report["settled"] != self._settled:
            self._settled = report["settled"]
            self._since = now
        return now - self._since >= PATIENCE
