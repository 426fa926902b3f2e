"""ManagerReports: the latest figures of each I/O manager, on their way to ``snqctl status``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snqd.core.errors import SnqdError

MAX_REPORT_BYTES = 4096
"""Bytes, as JSON, of one report."""
MAX_TOTAL_BYTES = 65_536
"""Bytes of all reports of a child: they go to the parent with every heartbeat."""


class BadReport(SnqdError):
    """An I/O manager's report can't be shown."""


class ManagerReports:
    """Keeps a copy of each, as JSON gives it back.

    :ivar latest: by the manager's name.
    """

    def __init__(self) -> None:
        self.latest: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}

    def put(self, name: str, figures: Mapping[str, Any]) -> None:
        """Replace the report of `name`.

        :raises BadReport: if it is no JSON object, or too large; the one before stays.
        """
        text = _as_json(name, figures)
        total = sum(self._sizes.values()) - self._sizes.get(name, 0) + len(text)
        if len(text) > MAX_REPORT_BYTES:
            raise BadReport(f"the report of {name} has {len(text)} bytes as JSON, at most {MAX_REPORT_BYTES} are shown")
        if total > MAX_TOTAL_BYTES:
            raise BadReport(
                f"with the report of {name}, those of this process have {total} bytes as JSON, "
                f"at most {MAX_TOTAL_BYTES} are shown"
            )
        self.latest[name], self._sizes[name] = json.loads(text), len(text)

    def drop(self, name: str) -> None:
        """Forget the report of `name`, if there is one."""
        self.latest.pop(name, None)
        self._sizes.pop(name, None)


def _as_json(name: str, figures: Mapping[str, Any]) -> str:
    if not isinstance(figures, Mapping):
        raise BadReport(f"the report of {name} is {type(figures).__name__}: give a mapping")
    try:
        return json.dumps(dict(figures), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadReport(f"the report of {name} is not JSON: {error}") from error
