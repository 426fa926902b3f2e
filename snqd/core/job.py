"""Job: what a store keeps and a queue manager takes through its handler."""

from __future__ import annotations

import hashlib
import secrets
from itertools import count

import attrs

from snqd.core.clocks import unix_time
from snqd.core.errors import PayloadTooLarge

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_ID_CHARS = 64

JSON = "json"
PHP = "php"


@attrs.define
class Job:
    """One job as a store keeps it; not frozen for its speed, but nobody changes one.

    :ivar id: see :func:`snqd.core.names.check_id`.
    :ivar site: the site's nickname.
    :ivar queue: the queue's name.
    :ivar body: the encoded payload; decoded only when a handler asks for it.
    :ivar encoding: how `body` is encoded: `JSON` text, or the payload as PHP's serialize() writes it.
    :ivar created: Unix seconds.
    :ivar attempt: of the run to come; the first is 1.
    :ivar not_before: Unix seconds, 0 for at once.
    :ivar solo: whether the job may have killed its process, so that it runs alone.
    :ivar reason: why the attempt before this one failed.
    """

    id: str
    site: str
    queue: str
    body: bytes
    encoding: str = JSON
    created: float = 0.0
    attempt: int = 1
    not_before: float = 0.0
    solo: bool = False
    reason: str = ""


class JobIds:
    """Makes ids for new jobs: one random prefix a process, and a number."""

    def __init__(self) -> None:
        self._prefix = f"{int(unix_time()):x}-{secrets.token_hex(8)}"
        self._numbers = count(1)

    def next(self) -> str:
        """A new id."""
        return f"{self._prefix}-{next(self._numbers):x}"


def follow_up_id(parent: str, number: int) -> str:
    """The id of follow-up job `number` (from 1) of `parent`, the same at every attempt: a repeat is recognisable."""
    derived = f"{parent}.{number}"
    return derived if len(derived) <= MAX_ID_CHARS else hashlib.sha256(derived.encode()).hexdigest()


def digest_id(body: bytes, created: str) -> str:
    """The id of a job that carries none (PHP's): a digest of its body and its `created` header."""
    return hashlib.sha256(created.encode() + b"\0" + body).hexdigest()


def check_size(body: bytes) -> bytes:
    """Return `body` if a job may carry it.

    :raises PayloadTooLarge: otherwise.
    """
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(
            f"the payload has {len(body)} bytes, a job carries {MAX_BODY_BYTES} at most: "
            "store it elsewhere and enqueue a reference to it"
        )
    return body
