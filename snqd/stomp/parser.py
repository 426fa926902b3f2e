"""Parser: bytes as they come from a socket to frames, in time linear in what came, however it was split."""

from __future__ import annotations

import re
from collections.abc import Iterator

from snqd.stomp.errors import ProtocolError
from snqd.stomp.frame import COMMANDS, UNESCAPED, Frame, Limits, Version

_HEAD_END = re.compile(rb"\n\r?\n")
_BLANKS = re.compile(rb"[\r\n]*")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = {
    Version.V1_1: {"n": "\n", "c": ":", "\\": "\\"},
    Version.V1_2: {"n": "\n", "c": ":", "\\": "\\", "r": "\r"},
}


class Parser:
    """Takes in bytes, gives out frames.

    :ivar version: what the peers agreed on; may be set between two frames.
    """

    def __init__(self, version: Version = Version.V1_2, limits: Limits = Limits()) -> None:  # noqa: B008 - it is frozen
        self.version = version
        self._limits = limits
        self._max_head = (limits.headers + 1) * (limits.line_bytes + 2)
        self._rest = bytearray()
        self._scanned = 0
        self._head: Frame | None = None
        self._length: int | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes; to be read to the end before the next call.

        Line feeds between frames are heart-beats and are skipped. Of a repeated header the first counts (STOMP 1.2).

        :raises ProtocolError: at the first thing that is no STOMP, behind the frames before it; the parser is of no
            use afterwards.
        """
        if self._rest:
            self._rest += data
            if self._is_stuck():
                return
            data, self._rest = bytes(self._rest), bytearray()
        pos = 0
        while True:
            frame = self._head
            if frame is None:
                pos = _BLANKS.match(data, pos).end()  # type: ignore[union-attr]  # it matches nothing too
                end = _HEAD_END.search(data, pos)
                if end is None:
                    break
                frame = self._head = self._read_head(data[pos : end.start()])
                pos = end.end()
            stop = self._body_end(data, pos)
            if stop < 0:
                break
            self._head = None
            frame.body = data[pos:stop]
            pos = stop + 1
            yield frame
        self._keep(data, pos)

    def _keep(self, data: bytes, pos: int) -> None:
        """Remember what is no whole frame yet."""
        self._rest += data[pos:] if pos else data
        self._scanned = len(self._rest)
        if self._head is None and self._scanned > self._max_head:
            self._check_head(self._rest)

    def _check_head(self, head: bytes | bytearray) -> None:
        """Refuse a head that is too large, whether its end has come or not, with the same words."""
        begun = 2 if head.endswith(b"\n\r") else int(head.endswith(b"\n"))  # of the blank line behind it
        if len(head) - begun > self._max_head:
            raise ProtocolError(f"a frame's command and headers have over {self._max_head} bytes")

    def _is_stuck(self) -> bool:
        """Whether what came completes nothing; looks at new bytes only."""
        rest, scanned, self._scanned = self._rest, self._scanned, len(self._rest)
        if self._head is None:
            return self._scanned <= self._max_head and not _HEAD_END.search(rest, max(scanned - 2, 0))
        if self._length is not None:
            return len(rest) <= self._length
        return len(rest) <= self._limits.body_bytes and rest.find(0, scanned) < 0

    def _body_end(self, data: bytes, pos: int) -> int:
        """Where the body ends that begins at `pos`, -1 if that has not come yet."""
        if self._length is None:
            end = data.find(0, pos)
            self._check_body(end - pos if end >= 0 else len(data) - pos)
            return end
        end = pos + self._length
        if end >= len(data):
            return -1
        if data[end]:
            raise ProtocolError(
                f"no NUL behind the {self._length} bytes that content-length gives a frame's body: {data[end]:#04x}"
            )
        return end

    def _check_body(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise ProtocolError(f"a frame's body has over {self._limits.body_bytes} bytes, which is the limit")

    def _read_head(self, head: bytes) -> Frame:
        text = head.decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        if len(lines) - 1 > self._limits.headers or len(head) > self._limits.line_bytes:
            self._check_lines(head)
        if "\r" in text:
            lines = self._without_cr(lines)
        command = lines[0]
        if command not in COMMANDS:
            raise ProtocolError(f"{_shown(command)} is no command of STOMP")
        headers: dict[str, str] = {}
        for line in lines[:0:-1]:  # from the last to the first, so that the first of repeated ones stays
            name, colon, value = line.partition(":")
            if not (colon and name):
                raise ProtocolError(_unlike_a_header(command, line))
            headers[name] = value
        if command not in UNESCAPED and ("\\" in text if self.version is not Version.V1_0 else ": " in text):
            headers = self._decoded(headers)
        length = headers.get("content-length")
        self._length = None if length is None else self._content_length(length)
        return Frame(command, headers)

    def _without_cr(self, lines: list[str]) -> list[str]:
        """The lines without the CR that may end them in STOMP 1.2, and before a version is agreed on."""
        if self.version is Version.V1_2 or lines[0].removesuffix("\r") in UNESCAPED:
            return [line.removesuffix("\r") for line in lines]
        return lines

    def _check_lines(self, head: bytes) -> None:
        self._check_head(head)
        limits, lines = self._limits, head.split(b"\n")
        if len(lines) - 1 > limits.headers:
            raise ProtocolError(f"a frame has {len(lines) - 1} headers, {limits.headers} are allowed")
        longest = max(map(len, lines))
        if longest > limits.line_bytes:
            raise ProtocolError(f"a header has {longest} bytes, {limits.line_bytes} are allowed")

    def _decoded(self, headers: dict[str, str]) -> dict[str, str]:
        if self.version is Version.V1_0:
            return {name: value.lstrip(" ") for name, value in headers.items()}
        return {self._unescaped(name): self._unescaped(value) for name, value in headers.items()}

    def _unescaped(self, text: str) -> str:
        if "\\" not in text:
            return text
        if "\\\\" not in text:  # as good as always, and replace() is much faster
            plain = text.replace("\\c", ":").replace("\\n", "\n")
            if "\\" not in plain:
                return plain
        return _ESCAPE.sub(self._unescape, text)

    def _unescape(self, match: re.Match[str]) -> str:
        meaning = _ESCAPED[self.version].get(match[1])
        if meaning is None:
            raise ProtocolError(f"{_shown(match[0])} is no escape of STOMP {self.version.value}")
        return meaning

    def _content_length(self, text: str) -> int:
        text = text.strip(" ")
        if not (text.isascii() and text.isdigit()):
            raise ProtocolError(f"{_shown(text)} is no content-length")
        length = int(text) if len(text) < 20 else self._limits.body_bytes + 1
        self._check_body(length)
        return length


def _unlike_a_header(command: str, line: str) -> str:
    if line.startswith(":"):
        return f"a header of {command} has no name: {_shown(line[1:])}"
    return f"a header of {command} without a colon: {_shown(line)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
