"""How this process writes text: in UTF-8 whatever its locale, which systemd and cron leave unset."""

from __future__ import annotations

import re
from io import TextIOWrapper
from typing import Any

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but line feed and tab, those that turn a line's direction, and halves of surrogate pairs."""


def write_utf8(*streams: Any) -> None:
    """Let `streams` write UTF-8, line by line; what no UTF-8 has, half a surrogate pair, is escaped and fails nothing.

    :param streams: ``sys.stdout`` and ``sys.stderr``, or what a test has put in their place, which stays as it is.
    """
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def readable(text: str) -> str:
    """`text` as a log can have it: what a terminal would obey, and what UTF-8 lacks, is escaped as in JSON."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
