"""What an HTTP endpoint's answer to a job means, and as much of its body as the reason needs."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from snqd.handlers.queue_handler import Reject, RetryLater

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT = 10.0
"""Seconds that a body may take: its first line is welcome, but the status has said what matters."""

TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503


@attrs.frozen
class Answer:
    """An endpoint's answer.

    :ivar origin: scheme, host and port; never the path or query, which may hold a secret.
    :ivar retry_after: the header as it came; empty if there is none. The same with location.
    :ivar body: at most `MAX_BODY_BYTES` of it.
    """

    origin: str
    code: int
    retry_after: str = ""
    location: str = ""
    body: bytes = b""

    def settle(self, now: float, longest: float) -> None:
        """Return if the answer acknowledges the job.

        :param now: Unix seconds.
        :param longest: seconds; no Retry-After is honoured beyond.
        :raises Reject: for every 4xx but 429.
        :raises RetryLater: for 429, 503 and all others, 3xx too: only 307 and 308 keep a POST, and they were
        followed.
        """
        if 200 <= self.code < 300:
            return
        if self.code in (TOO_MANY_REQUESTS, UNAVAILABLE):
            raise RetryLater(delay_of(self.retry_after, now, longest), self.reason())
        if 400 <= self.code < 500:
            raise Reject(self.reason())
        if 300 <= self.code < 400:
            raise RetryLater(
                None, f"{self.origin} redirects with {self.code}, which does not keep a POST; 307 and 308 do"
            )
        raise RetryLater(None, self.reason())

    def reason(self) -> str:
        """For people: who answered what, with the first line of the body."""
        lines = self.body.decode("utf-8", "backslashreplace").strip().splitlines()
        return f"{self.origin} answered {self.code}" + (f": {lines[0]}" if lines else "")


def delay_of(retry_after: str, now: float, longest: float) -> float | None:
    """Seconds that a Retry-After header asks for, from 0 to `longest`; None if it is neither seconds nor a date.

    RFC 9110, section 10.2.3.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        # Beyond so many digits it's longer than any limit, and int() refuses at some point.
        return min(float(text[:20]), longest)
    try:
        delay = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(delay, 0.0), longest)


async def read_answer(origin: str, response: IResponse, clock: IReactorTime) -> Answer:
    """Take in an answer: its status and headers as they are, of its body what comes in time and fits."""
    body = await _read_head(response, clock)
    return Answer(origin, response.code, _header(response, b"retry-after"), _header(response, b"location"), body)


def _header(response: IResponse, name: bytes) -> str:
    values = response.headers.getRawHeaders(name) or [b""]
    return bytes(values[0]).decode("latin-1")


def _read_head(response: IResponse, clock: IReactorTime) -> Deferred[bytes]:
    head = _Head()
    response.deliverBody(head)
    timer = clock.callLater(BODY_TIMEOUT, head.stop)

    def done(body: bytes) -> bytes:
        if timer.active():
            timer.cancel()
        return body

    return head.finished.addCallback(done)


class _Head(Protocol):
    """Collects the beginning of a body and drops the connection if there is more; an end before the end is as good."""

    def __init__(self) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: self.stop())
        self._received = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_BODY_BYTES:
            self.stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finish()

    def stop(self) -> None:
        """Take no more."""
        self._finish()
        if self.transport is not None:
            self.transport.loseConnection()

    def _finish(self) -> None:
        if not self.finished.called:
            self.finished.callback(bytes(self._received[:MAX_BODY_BYTES]))
