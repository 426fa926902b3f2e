"""Sends pings as HTTP POSTs; the half of :mod:`snqd.monitor.ping` that knows HTTP, imported only where it is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool

MAX_IN_FLIGHT = 4
MAX_WAITING = 500
MAX_ANSWER_BYTES = 65536
TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
_FORM: dict[bytes | str, list[bytes | str]] = {"Content-Type": ["application/x-www-form-urlencoded"]}


class HttpOutlet:
    """POSTs to a monitor, :data:`MAX_IN_FLIGHT` at once; an answer counts by its status alone.

    :param complain: called with what is wrong; nothing is raised.
    :param client: treq's, for a test.
    """

    def __init__(self, reactor: Any, url: str, complain: Callable[[str], None], client: Any = None) -> None:
        self._reactor = reactor
        self._url = url
        self._complain = complain
        self._pool: Any = HTTPConnectionPool(reactor)
        self._client = client or _client(reactor, self._pool)
        self._waiting: deque[bytes] = deque()
        self._in_flight: set[Deferred[Any]] = set()
        self._posting = False
        self._idle: Deferred[None] | None = None

    def send(self, ping: bytes) -> bool:
        """POST `ping`, now or after those before it; False if too many wait already."""
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(ping)
        self._post_more()
        return True

    def close(self) -> Deferred[None]:
        """Send what waits, for :data:`CLOSE_TIMEOUT` seconds at most, then close the connections; fires when done."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self._in_flight:
            self._idle = Deferred()
            giving_up = self._reactor.callLater(CLOSE_TIMEOUT, self._give_up)
            await self._idle
            if giving_up.active():
                giving_up.cancel()
        await self._pool.closeCachedConnections()

    def _give_up(self) -> None:
        self._waiting.clear()
        for request in list(self._in_flight):
            request.cancel()

    def _post_more(self) -> None:
        if self._posting:
            return  # a request failed at once; the loop below goes on
        self._posting = True
        while self._waiting and len(self._in_flight) < MAX_IN_FLIGHT:
            self._post(self._waiting.popleft())
        self._posting = False

    def _post(self, ping: bytes) -> None:
        request: Deferred[Any] = maybeDeferred(
            self._client.post, self._url, data=ping, headers=_FORM, allow_redirects=False
        )
        request.addCallback(self._answered)
        request.addTimeout(TIMEOUT, self._reactor)
        self._in_flight.add(request)
        request.addErrback(self._failed)
        request.addBoth(self._ended, request)

    def _answered(self, response: Any) -> Deferred[None]:
        if response.code // 100 != 2:
            self._complain(f"it answers {response.code}")
        ignored = _Ignored()
        response.deliverBody(ignored)
        return ignored.done

    def _failed(self, failure: Failure) -> None:
        if isinstance(failure.value, TimeoutError):
            self._complain(f"no answer within {TIMEOUT:g} s")
        elif not isinstance(failure.value, CancelledError):
            # Twisted wraps what went wrong while it waited for an answer.
            reasons = getattr(failure.value, "reasons", None)
            error = reasons[0].value if reasons else failure.value
            self._complain(f"{type(error).__name__}: {error}")

    def _ended(self, result: None, request: Deferred[Any]) -> None:
        self._in_flight.discard(request)
        self._post_more()
        if self._idle is not None and not self._in_flight:
            idle, self._idle = self._idle, None
            idle.callback(None)


def _client(reactor: Any, pool: Any) -> HTTPClient:
    return HTTPClient(Agent(reactor, connectTimeout=TIMEOUT, pool=pool))


class _Ignored(Protocol):
    """Reads an answer to its end, so that the connection can be used again; a long one is cut off.

    :ivar done: fires when nothing more comes; cancelling it closes the connection.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._stop())
        self._left = MAX_ANSWER_BYTES

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.callback(None)

    def _stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
