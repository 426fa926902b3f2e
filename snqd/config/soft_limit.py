"""SoftLimit: the memory at which a process is replaced, as the configuration says it."""

from __future__ import annotations

import attrs


@attrs.frozen
class SoftLimit:
    """``[queue] softlimit``: one of the two.

    :ivar pct: percent of ``[snqd] memory_limit``.
    """

    size_bytes: int | None = None
    pct: float | None = None

    def of(self, memory_limit_bytes: int) -> int:
        """Bytes, for a process that may have so many."""
        return int(memory_limit_bytes * self.pct / 100) if self.pct is not None else self.size_bytes or 0
