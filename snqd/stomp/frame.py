"""Frame: one unit of STOMP, and what the versions of the protocol differ in."""

from __future__ import annotations

from enum import Enum

import attrs

MAX_BODY_BYTES = 64 * 1024 * 1024


class Version(Enum):
    """A version of STOMP; the value is how the `version` header names it.

    1.0 has no escapes, and PHP's clients put a blank behind the colon. 1.1 has escapes; 1.2 one more, and lines that
    may end in CR LF.
    """

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"


CLIENT_COMMANDS = frozenset(
    ["CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT"]
)
SERVER_COMMANDS = frozenset(["CONNECTED", "MESSAGE", "RECEIPT", "ERROR"])
COMMANDS = CLIENT_COMMANDS | SERVER_COMMANDS
UNESCAPED = frozenset(("CONNECT", "STOMP", "CONNECTED"))
"""Frames that agree on a version know no escapes yet, and may end their lines as any version does."""
WITH_BODY = frozenset(("SEND", "MESSAGE", "ERROR"))


@attrs.define
class Frame:
    """A frame; not frozen for its speed, but nobody changes one.

    :ivar headers: without escapes. Bytes that are not UTF-8 are kept as lone surrogates, as Python's surrogateescape
        does.
    """

    command: str
    headers: dict[str, str]
    body: bytes = b""


@attrs.frozen
class Limits:
    """What a peer may send.

    :ivar headers: lines of one frame.
    :ivar line_bytes: of the command or one header, without its end.
    :ivar body_bytes: of one frame.
    """

    headers: int = 256
    line_bytes: int = 64 * 1024
    body_bytes: int = MAX_BODY_BYTES
