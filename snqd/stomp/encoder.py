"""Encoder: frames to bytes, in which no value can become a header, a command or a further frame."""

from __future__ import annotations

import re
from collections.abc import Mapping

from snqd.stomp.errors import ProtocolError
from snqd.stomp.frame import COMMANDS, UNESCAPED, WITH_BODY, Version

HEART_BEAT = b"\n"

_SPECIAL = re.compile(r"[\\\r\n:\0]")
_ESCAPES = {
    Version.V1_1: {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    Version.V1_2: {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
_RAW_NAME = {"\\": "\\"}
_RAW_VALUE = {"\\": "\\", ":": ":"}


def encode(command: str, headers: Mapping[str, str], body: bytes = b"", version: Version = Version.V1_2) -> bytes:
    """A frame as it goes over the wire; `content-length` is added.

    :raises ProtocolError: for what `version` can't express: a NUL in a header, a line feed where there are no escapes
        (STOMP 1.0, and CONNECT in all versions), a carriage return before 1.2; and for a `content-length` of your own.
    """
    if command not in COMMANDS:
        raise ProtocolError(f"{command!a} is no command of STOMP")
    parts = [command, "\n"]
    for name, value in headers.items():
        if _SPECIAL.search(name) or not name or name == "content-length":
            name = _written(name, name, _escapes(command, version, _RAW_NAME))
        if _SPECIAL.search(value):
            value = _written(value, name, _escapes(command, version, _RAW_VALUE))
        parts += (name, ":", value, "\n")
    if body or command in WITH_BODY:
        parts.append(f"content-length:{len(body)}\n")
    parts.append("\n")
    try:
        return b"".join(("".join(parts).encode("utf-8", "surrogateescape"), body, b"\0"))
    except UnicodeEncodeError as error:
        raise ProtocolError(f"a header of {command} can't be written in UTF-8: {error.reason}") from error


def _escapes(command: str, version: Version, raw: Mapping[str, str]) -> Mapping[str, str]:
    return raw if version is Version.V1_0 or command in UNESCAPED else _ESCAPES[version]


def _written(text: str, name: str, escapes: Mapping[str, str]) -> str:
    if not text or name == "content-length":
        raise ProtocolError(f"{name!a} can't be the name of a header")

    def escape(match: re.Match[str]) -> str:
        try:
            return escapes[match[0]]
        except KeyError:
            raise ProtocolError(f"the header {name!a} must not contain {match[0]!a}") from None

    return _SPECIAL.sub(escape, text)
