"""ControlGate: which commands that come by way of the store are obeyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

import attrs

from snqd.core.clocks import BootTime, UnixTime, boot_time, unix_time
from snqd.wire.control_message import MAX_BYTES, BadControlMessage, ControlMessage, Received

MAX_AGE = 120.0
"""Seconds after which a command is too old, by this host's clock."""
MAX_AHEAD = 120.0
"""Seconds by which its sender's clock may be ahead."""
COPIES_FOR = 60.0
"""Seconds in which the copies of a message come, one by each child that listens."""
MOST_HEARD = 10_000
"""Messages that are remembered for that: anybody may send some."""
COPY_OF_A_NEWCOMER = 5.0
"""Seconds in which the first thing that a listener tells may be a copy."""


V = TypeVar("V")


@attrs.frozen
class Trust:
    """Whom to believe.

    :ivar key: of signed commands, None if there is none.
    :ivar unsigned: whether unsigned ones are obeyed.
    """

    key: bytes | None
    unsigned: bool


@attrs.define
class _Heard:
    """The same bytes, heard by several listeners: how often they came, and how often each told of them."""

    last: float
    times: int = 0
    told: dict[str, int] = attrs.field(factory=dict)

    def is_copy(self, listener: str, now: float) -> bool:
        if listener not in self.told:
            # Who was not there yet when it came has not told of it before, and means a later one.
            self.told[listener] = self.times if now - self.last > COPY_OF_A_NEWCOMER else 0
        self.told[listener] += 1
        if self.told[listener] <= self.times:
            return True
        self.times, self.last = self.told[listener], now
        return False


class ControlGate:
    """Remembers what it has let through, as long as it could come again.

    :param boot_time: how long it remembers, and how old this daemon is.
    :param unix_time: how old a message is.
    """

    def __init__(
        self, boot_time: Callable[[], BootTime] = boot_time, unix_time: Callable[[], UnixTime] = unix_time
    ) -> None:
        self._boot_time = boot_time
        self._unix_time = unix_time
        self._started = boot_time()
        self._heard: dict[bytes, _Heard] = {}
        self._seen: dict[str, float] = {}
        self._expected: set[str] = set()

    def expect(self, message_id: str) -> None:
        """A message with that id will come, and what it asks for is done without it."""
        self._seen[message_id] = self._boot_time()  # in the order of time, as all here
        self._expected.add(message_id)

    def hear(self, body: bytes, listener: str, trust: Trust) -> ControlMessage | None:
        """What to do now that `listener` tells of `body`; None if that is done, or being done, already.

        :raises BadControlMessage: saying why it is not obeyed.
        """
        now = self._boot_time()
        self._forget(now)
        if self._is_copy(sha256(body).digest(), listener, now):
            return None
        message = _trusted(body, trust)
        if message.id:
            self._check_time(message, now)
            if message.id in self._expected:
                self._expected.remove(message.id)
                return None
            if message.id in self._seen:
                raise BadControlMessage("it has come before, so somebody has sent it again")
            self._seen[message.id] = now
        return message

    def _is_copy(self, digest: bytes, listener: str, now: BootTime) -> bool:
        heard = self._heard.get(digest) or _Heard(now)
        if heard.is_copy(listener, now):
            return True
        self._heard.pop(digest, None)
        self._heard[digest] = heard  # behind all others
        return False

    def _check_time(self, message: ControlMessage, now: BootTime) -> None:
        age = self._unix_time() - message.sent
        if age < -MAX_AHEAD:
            raise BadControlMessage(f"it is {-age:.0f} s ahead of this host's clock: set the clocks right")
        if age > MAX_AGE:
            raise BadControlMessage(f"it is {age:.0f} s old, by this host's clock")
        # Not by the date of the start, which is another one once the clock was set.
        if age > now - self._started:
            raise BadControlMessage("it is older than this daemon")

    def _forget(self, now: BootTime) -> None:
        while self._heard and (len(self._heard) > MOST_HEARD or now - _first(self._heard).last > COPIES_FOR):
            del self._heard[next(iter(self._heard))]
        while self._seen and now - _first(self._seen) > MAX_AGE + MAX_AHEAD:
            message_id = next(iter(self._seen))
            del self._seen[message_id]
            self._expected.discard(message_id)


def _first(values: Mapping[Any, V]) -> V:
    return next(iter(values.values()))


def _trusted(body: bytes, trust: Trust) -> ControlMessage:
    """What `body` says, read only if it may be believed."""
    if len(body) > MAX_BYTES:
        raise BadControlMessage(f"it has more than {MAX_BYTES} bytes")
    received = Received.of(body)
    if received.signature and trust.key is not None:
        if not received.is_signed_with(trust.key):
            raise BadControlMessage("its signature is wrong: somebody has forged it, or keys differ between hosts")
    elif received.signature and not trust.unsigned:
        raise BadControlMessage("its signature can't be checked, since [queue] control_key_file is empty")
    elif not trust.unsigned:
        raise BadControlMessage("it is not signed, and [queue] control_unsigned is no")
    return received.read()
