"""LogRecord: a log event in plain data: what a child sends to its parent, and what a line of JSON is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.logger import LogLevel, formatEvent

RECORD_BYTES = 60_000
"""What a record of a child takes at most; of a longer one the text is cut."""
VALUE_CHARACTERS = 1000
TRACEBACK_CHARACTERS = 8000
_PLAIN = (str, int, float, bool, type(None))
#: What Twisted adds to events for older observers.
_FOREIGN = frozenset(("time", "isError", "failure", "why", "message", "format", "system"))


@attrs.frozen
class LogRecord:
    """One event.

    :ivar text: for people, without traceback.
    :ivar traceback: of a failure, else empty.
    :ivar fields: what the event is about, such as `site`, `queue`, `job` and `attempt`.
    """

    namespace: str
    level: str
    text: str
    traceback: str = ""
    fields: Mapping[str, Any] = attrs.field(factory=dict)

    def to_json(self) -> bytes:
        """One line, at most about `RECORD_BYTES` long."""
        line = json.dumps(attrs.asdict(self)).encode()
        if len(line) <= RECORD_BYTES:
            return line
        # A letter takes twelve bytes at most.
        room = RECORD_BYTES // 30
        shorter = attrs.evolve(self, text=_cut(self.text, room), traceback=_end_of(self.traceback, room), fields={})
        return json.dumps(attrs.asdict(shorter)).encode()

    @classmethod
    def from_json(cls, line: bytes) -> LogRecord:
        """What `to_json` wrote.

        :raises ValueError: for anything else.
        """
        try:
            return cls(**json.loads(line))
        except TypeError as error:
            raise ValueError(f"no record: {error}") from error


def record_of(event: Mapping[str, Any]) -> LogRecord:
    """The record of a Twisted log event; an event that `event_of` made gives back what it was made from."""
    child = event.get("child_record")
    if isinstance(child, LogRecord):
        return attrs.evolve(child, fields={**child.fields, "child": event["child"]})
    failure = event.get("log_failure")
    return LogRecord(
        namespace=event.get("log_namespace") or "",
        level=event.get("log_level", LogLevel.info).name,
        text=formatEvent(dict(event)),
        traceback=failure.getTraceback() if failure is not None else "",
        fields={key: _plain(key, value) for key, value in event.items() if not _is_inner(key)},
    )


def event_of(child: str, record: LogRecord) -> dict[str, Any]:
    """What a parent logs for a record of one of its children."""
    traceback = f"\n{record.traceback}" if record.traceback else ""
    return {"child": child, "child_record": record, "text": record.text, "end": traceback.rstrip()}


def _is_inner(key: str) -> bool:
    return key.startswith("log_") or key in _FOREIGN


def _plain(key: str, value: Any) -> Any:
    if key == "traceback" and isinstance(value, str):
        return _end_of(value, TRACEBACK_CHARACTERS)
    if isinstance(value, _PLAIN):
        return _cut(value, VALUE_CHARACTERS) if isinstance(value, str) else value
    return _cut(str(value), VALUE_CHARACTERS)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[:room]} [cut]"


def _end_of(text: str, room: int) -> str:
    return text if len(text) <= room else f"[cut] {text[-room:]}"
