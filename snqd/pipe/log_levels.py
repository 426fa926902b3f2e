"""LogLevels: from which level on the events of each namespace are logged, to be changed while the process runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import FilteringLogObserver, InvalidLogLevelError, LogLevel, LogLevelFilterPredicate

from snqd.core.errors import SnqdError

DEFAULT = LogLevel.info
QUIETER = {"twisted.application._client_service": LogLevel.warn}
"""It tells of each attempt to connect; what is worth a line, the stores' connections log."""
EVERYTHING = ""
"""The namespace that holds all others; `snqd.queues` holds `snqd.queues.settler` and so on."""
WORDS = ("debug", "info", "warn", "error", "critical")


class BadLogLevel(SnqdError):
    """That is no log level."""


class LogLevels:
    """One process's, the same for all of its observers.

    :ivar changed: what was set, by namespace.
    """

    def __init__(self) -> None:
        self._predicate = LogLevelFilterPredicate(defaultLogLevel=DEFAULT)
        for namespace, level in QUIETER.items():
            self._predicate.setLogLevelForNamespace(namespace, level)
        self.changed: dict[str, str] = {}

    def set(self, namespace: str, level: str) -> None:
        """Log what comes from `namespace`, or from one within it, from `level` on.

        :raises BadLogLevel: naming those that there are.
        """
        try:
            meant = LogLevel.levelWithName(level)
        except InvalidLogLevelError:
            raise BadLogLevel(f"{repr(level)[:40]} is no log level: write {', '.join(WORDS)}") from None
        self.changed[namespace] = level
        self._predicate.setLogLevelForNamespace(namespace, meant)

    def apply(self, levels: Mapping[str, str]) -> None:
        """Set all of `levels`.

        :raises BadLogLevel: as `set` does.
        """
        for namespace, level in levels.items():
            self.set(namespace, level)

    def filtering(self, observer: Any) -> FilteringLogObserver:
        """`observer`, which then sees only what is to be logged."""
        return FilteringLogObserver(observer, [self._predicate])
