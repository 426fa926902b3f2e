"""The way of a child's log: lines on its standard error, each with its level, into the log of the parent.

The level is written as systemd writes it, ``<3>`` for an error, and what follows is a record in JSON. What has no
level, such as a traceback of the interpreter itself, counts as an error; what comes on standard output counts as
information.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, Logger, LogLevel
from zope.interface import implementer

from snqd.pipe.log_record import LogRecord, event_of, record_of

LINE_BYTES = 65_536
LINES_A_SECOND = 2000

_NUMBERS = {LogLevel.critical: 2, LogLevel.error: 3, LogLevel.warn: 4, LogLevel.info: 6, LogLevel.debug: 7}
_RECORD = b"\x1e"
"""Begins a record in JSON, as in RFC 7464."""
_LEVELS = {b"<%d>" % number: level for level, number in _NUMBERS.items()}


@implementer(ILogObserver)
class LevelledLines:
    """Writes the child's log events as levelled lines, as long as anybody reads them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: dict[str, Any]) -> None:
        """Write one event as one line."""
        prefix = f"<{_NUMBERS[event.get('log_level', LogLevel.info)]}>"
        self._stream.write(f"{prefix}{_RECORD.decode()}{record_of(event).to_json().decode()}\n")
        self._stream.flush()


class Lines:
    """Cuts a stream into lines; one that is too long is cut off, and the rest of it dropped.

    :param line: called with each.
    """

    def __init__(self, line: Callable[[bytes], None]) -> None:
        self._line = line
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
            self._skipping = False
        if len(rest) > LINE_BYTES:
            self._emit(rest)
            self._skipping, rest = True, b""
        self._rest = rest

    def end(self) -> None:
        """The stream has ended: what is left is a line too."""
        if self._rest:
            self._emit(self._rest)
        self._rest = b""

    def _emit(self, line: bytes) -> None:
        if not self._skipping:
            self._line(line if len(line) <= LINE_BYTES else line[:LINE_BYTES] + b" [cut]")


class ChildLog:
    """Puts the lines of one child into this process's log, so many a second at most.

    :ivar last: the last line that was no mere information, to tell why a child died.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, child: str) -> None:
        self._clock = clock
        self._child = child
        self._second = 0
        self._lines = 0
        self._loggers: dict[str, Logger] = {}
        self.last = ""
        self.stdout = Lines(lambda line: self._log(LogLevel.info, line))
        self.stderr = Lines(self._levelled)

    def end(self) -> None:
        """The child is gone."""
        self.stdout.end()
        self.stderr.end()
        self._tell_dropped()

    def _levelled(self, line: bytes) -> None:
        level = _LEVELS.get(line[:3])
        rest = line[3:] if level else line
        if level and rest.startswith(_RECORD):
            try:
                return self._log_record(level, LogRecord.from_json(rest[1:]))
            except ValueError:
                self.log.debug("[{child}] wrote a record that can't be read", child=self._child)
        return self._log(level or LogLevel.error, rest)

    def _log_record(self, level: Any, record: LogRecord) -> None:
        self._remember(level, record.text)
        if self._room():
            self._logger(record.namespace).emit(level, "[{child}] {text}{end}", **event_of(self._child, record))

    def _logger(self, namespace: str) -> Logger:
        # So that the level of the namespace holds here too.
        logger = self._loggers.get(namespace)
        if logger is None:
            logger = self._loggers[namespace] = Logger(namespace=namespace)
        return logger

    def _log(self, level: Any, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace")
        self._remember(level, text)
        if self._room():
            self.log.emit(level, "[{child}] {line}", child=self._child, line=text)

    def _remember(self, level: Any, text: str) -> None:
        if text.strip() and level not in (LogLevel.info, LogLevel.debug):
            self.last = text.strip()

    def _room(self) -> bool:
        second = int(self._clock.seconds())
        if second != self._second:
            self._tell_dropped()
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= LINES_A_SECOND

    def _tell_dropped(self) -> None:
        dropped = self._lines - LINES_A_SECOND
        if dropped > 0:
            self.log.warn(
                "[{child}] {dropped} more lines in one second were dropped", child=self._child, dropped=dropped
            )
        self._lines = 0
