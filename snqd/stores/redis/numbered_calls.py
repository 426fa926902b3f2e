"""NumberedCalls: group commit over a connection that may break; what is asked during one call goes with the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from snqd.core.errors import StoreError
from snqd.stores.redis.errors import RedisConnectionLost

MAX_ITEMS = 1000
MAX_BYTES = 8 * 1024 * 1024
"""A call holds so many items or bytes at most, unless a single item has more: Redis does nothing else meanwhile."""


class NumberedCall(Protocol):
    """What goes into a call."""

    @property
    def size_bytes(self) -> int:
        """How much of the call it takes."""


T = TypeVar("T", bound=NumberedCall)


class NumberedCalls(Generic[T]):
    """Makes numbered calls, one at a time, each repeated under its number until it is answered: Redis knows by the
    number whether it has done it.

    :param ready: whether there is a connection.
    :param send: makes the call of that number, with those items.
    :param answered: given the items and the answer.
    :param refused: given the items and the error of a call that Redis refused, so that nothing of it was done; returns
        the seconds after which it is to be made again, None if it is not.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        ready: Callable[[], bool],
        send: Callable[[int, list[T]], Awaitable[bytes]],
        answered: Callable[[list[T], bytes], None],
        refused: Callable[[list[T], StoreError], float | None],
    ) -> None:
        self._reactor = reactor
        self._ready = ready
        self._send = send
        self._answered = answered
        self._refused = refused
        self._waiting: list[T] = []
        self._batch: list[T] = []
        self._number = 0
        self._busy = False
        self._call: Any = None
        self._finished: Deferred[None] | None = None

    def add(self, item: T) -> None:
        """Let `item` go with the next call."""
        self._waiting.append(item)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Call at the end of this reactor turn, unless a call is under way or waits for its time."""
        if not self._busy and self._call is None:
            self._call = self._reactor.callLater(0, self._flush)

    def finish(self) -> Deferred[None]:
        """Fires when every item has its answer."""
        if self._batch or self._waiting:
            self._finished = Deferred()
            return self._finished
        return succeed(None)

    def clear(self) -> list[T]:
        """Forget everything, and call no more; returns the items that have no answer."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        left = self._batch + self._waiting
        self._batch, self._waiting = [], []
        return left

    def _flush(self) -> None:
        self._call = None
        if self._busy or not self._ready():
            return
        if not self._batch:
            self._next_batch()
        if self._batch:
            self._busy = True
            called = Deferred.fromCoroutine(self._call_now(self._number, self._batch))
            called.addErrback(lambda failure: self.log.failure("a call to Redis went wrong", failure))
            called.addCallback(self._go_on)

    def _next_batch(self) -> None:
        size = number = 0
        for item in self._waiting:
            if number and (number >= MAX_ITEMS or size + item.size_bytes > MAX_BYTES):
                break
            number, size = number + 1, size + item.size_bytes
        self._batch, self._waiting = self._waiting[:number], self._waiting[number:]
        self._number += 1

    async def _call_now(self, number: int, batch: list[T]) -> float | None:
        """Returns the seconds after which the same call is to be made again."""
        try:
            answer = await self._send(number, batch)
        except RedisConnectionLost:
            return None  # whether it was done is told when it is repeated, over the next connection
        except StoreError as error:
            delay = self._refused(batch, error)
            if delay is not None:
                return delay
        else:
            self._answered(batch, answer)
        self._batch = []
        return None

    def _go_on(self, delay: float | None) -> None:
        self._busy = False
        if delay is not None:
            self._call = self._reactor.callLater(delay, self._flush)
        elif self._batch or self._waiting:
            self._flush()
        elif self._finished is not None:
            finished, self._finished = self._finished, None
            finished.callback(None)
