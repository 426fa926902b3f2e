"""Envelopes: how PHP sites say for which site and queue a payload is, and files that hold captured ones.

StatusNet and GNU social 1.2x send a serialized array of `site`, `handler` and `payload`, where the payload is itself
serialized; GNU social 1.2x sends base64 of it. GNU social 2's Redis plug-in keeps serialized pairs of queue and object.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import attrs

from snqd.core.errors import BadPayload
from snqd.wire import php

_HEAD = b'a:3:{s:4:"site";'
_BASE64_HEAD = base64.b64encode(_HEAD[:15])
_ENVELOPE = re.compile(
    rb'a:3:\{s:4:"site";s:([0-9]{1,3}):"([^"]{0,999})";s:7:"handler";s:([0-9]{1,3}):"([^"]{0,999})";'
    rb's:7:"payload";s:([0-9]{1,10}):"'
)
_REDIS_ITEM = re.compile(rb'a:2:\{i:0;s:([0-9]{1,2}):"([A-Za-z0-9_][A-Za-z0-9_.\-]{0,63})";i:1;')
_FRAME = re.compile(rb"(?:SEND|MESSAGE)\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_ESCAPE = re.compile(rb"\\([crn\\])")
_ESCAPED = {b"c": b":", b"r": b"\r", b"n": b"\n", b"\\": b"\\"}


@attrs.frozen
class Envelope:
    """An opened envelope; names are as they were written, not yet checked.

    :ivar site: the site's nickname, None where the envelope names none (GNU social 2).
    :ivar payload: the body of a job whose encoding is :data:`snqd.core.job.PHP`.
    """

    site: str | None
    queue: str
    payload: bytes


@attrs.frozen
class Capture:
    """What a file holds.

    :ivar body: a payload or envelope.
    :ivar created: the frame's header of that name (StatusNet's is an SQL datetime, UTC), empty where there is none.
    """

    body: bytes
    created: str


@attrs.frozen
class PhpItem:
    """What becomes a job.

    :ivar body: of a job whose encoding is :data:`snqd.core.job.PHP`.
    :ivar created: as in :class:`Capture`.
    :ivar site: as the envelope names it, None where there is none or it names none.
    :ivar queue: the same.
    """

    body: bytes
    created: str
    site: str | None
    queue: str | None


def open_envelope(body: bytes) -> Envelope | None:
    """The envelope that `body` is, None if it is none.

    It is matched on its bytes and the payload is not read, which may itself be broken. A list of two whose first is
    text like a queue's name is taken for GNU social 2's item, since nothing tells them apart.

    :raises BadPayload: if `body` begins as an envelope and is broken, such as cut by a broker at a NUL.
    """
    if body.startswith(_HEAD):
        return _open_array(body)
    if body.startswith(_BASE64_HEAD):
        return _open_array(_from_base64(body))
    item = _REDIS_ITEM.match(body)
    return _open_item(body, item) if item is not None else None


def read_capture(data: bytes) -> Capture:
    """The body in a file: `data` itself, or the body of the STOMP SEND or MESSAGE frame that it is.

    A body goes as far as the header `content-length` says, else up to the frame's end (its last NUL, and line feeds),
    since PHP sends NULs in its bodies and no such header. Where a broker has cut the body, it is what is there.
    """
    head = _BLANK_LINE.search(data) if _FRAME.match(data) else None
    if head is None:
        return Capture(data, "")
    headers = _headers(data[: head.start()])
    return Capture(_frame_body(data[head.end() :], headers), headers.get(b"created", b"").decode(errors="replace"))


def php_job_body(data: bytes) -> PhpItem:
    """What a job is made of, from a file with a payload, an envelope or a captured frame.

    A broken envelope is the body as it is, without site and queue, like a payload without envelope: it can't be decoded
    later, and so becomes a dead letter with the reason and all its bytes.
    """
    capture = read_capture(data)
    try:
        envelope = open_envelope(capture.body)
    except BadPayload:
        envelope = None
    if envelope is None:
        return PhpItem(capture.body, capture.created, None, None)
    return PhpItem(envelope.payload, capture.created, envelope.site, envelope.queue)


def _open_array(body: bytes) -> Envelope | None:
    match = _ENVELOPE.match(body)
    if match is None or not _fits(body, match):
        return _read_whole(body)
    try:
        return Envelope(match[2].decode(), match[4].decode(), body[match.end() : -3])
    except UnicodeDecodeError as error:
        raise BadPayload("the names in the envelope are not UTF-8") from error


def _fits(body: bytes, match: re.Match[bytes]) -> bool:
    """Whether the lengths in the envelope are those of what it holds."""
    return (
        int(match[1]) == len(match[2])
        and int(match[3]) == len(match[4])
        and int(match[5]) == len(body) - match.end() - 3
        and body.endswith(b'";}')
    )


def _read_whole(body: bytes) -> Envelope | None:
    """What begins like an envelope and does not match: an array with other keys, or one that is broken."""
    value = _loads(body)
    if not isinstance(value, dict) or list(value) != ["site", "handler", "payload"]:
        return None
    site, queue, payload = value.values()
    if not isinstance(site, str) or not isinstance(queue, str):
        raise BadPayload("site and handler of the envelope must be UTF-8 text")
    if not isinstance(payload, (str, bytes)):
        raise BadPayload("the payload of the envelope must be serialized text")
    return Envelope(site, queue, payload.encode() if isinstance(payload, str) else payload)


def _open_item(body: bytes, item: re.Match[bytes]) -> Envelope:
    if int(item[1]) != len(item[2]) or not body.endswith(b"}"):
        _loads(body)  # raises, and names the byte
    return Envelope(None, item[2].decode(), body[item.end() : -1])


def _loads(body: bytes) -> Any:
    try:
        return php.loads(body)
    except BadPayload as error:
        raise BadPayload(f"the envelope is broken: {error}") from error


def _from_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise BadPayload(f"the envelope is broken: {len(body)} bytes of base64: {error}") from error


def _headers(head: bytes) -> dict[bytes, bytes]:
    """A frame's headers without STOMP 1.1's escapes and PHP's blanks; of repeated ones the first counts (STOMP 1.2)."""
    headers: dict[bytes, bytes] = {}
    for line in head.splitlines()[1:]:
        name, _, value = line.partition(b":")
        headers.setdefault(name, _ESCAPE.sub(lambda match: _ESCAPED[match[1]], value.strip()))
    return headers


def _frame_body(rest: bytes, headers: dict[bytes, bytes]) -> bytes:
    length = headers.get(b"content-length", b"")
    if length.isdigit() and len(length) < 12 and int(length) <= len(rest):
        return rest[: int(length)]
    end = rest.rstrip(b"\r\n")
    return end[:-1] if end.endswith(b"\0") else rest
