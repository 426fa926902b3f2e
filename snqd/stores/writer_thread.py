"""WriterThread: group commit for whatever writes blocking: what queued up during one write goes with the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")
MAX_ITEMS = 1000


class WriterThread(Generic[T]):
    """Hands items to `write` in one thread of its own, started when the first item comes.

    :param reactor: where the Deferreds fire.
    :param write: blocking; keeps all items it is given, or none and raises.
    :param at_once: how many items a write gets at most.
    :param pool: for tests; by default a pool of one thread.
    """

    def __init__(
        self,
        reactor: Any,
        write: Callable[[Sequence[T]], object],
        name: str,
        at_once: int = MAX_ITEMS,
        pool: ThreadPool | None = None,
    ) -> None:
        self._reactor = reactor
        self._write = write
        self._at_once = at_once
        self._pool = pool or ThreadPool(0, 1, name)
        self._waiting: list[tuple[T, Deferred[None]]] = []
        self._busy = False
        self._closing: Deferred[None] | None = None

    def submit(self, item: T) -> Deferred[None]:
        """Write `item`; fires when that is done, or fails as the write did.

        :raises RuntimeError: after :meth:`close`.
        """
        if self._closing is not None:
            raise RuntimeError("this writer is closed")
        done: Deferred[None] = Deferred()
        self._waiting.append((item, done))
        if not self._busy:
            self._go()
        return done

    def close(self) -> Deferred[None]:
        """Take no more items, and end the thread once everything is written; fires then. Close only once."""
        self._closing = Deferred()
        if not self._busy:
            self._end()
        return self._closing

    def _go(self) -> None:
        group, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
        if not self._pool.started:
            self._pool.start()
        self._busy = True
        written = deferToThreadPool(self._reactor, self._pool, self._write, [item for item, _ in group])
        written.addBoth(self._written, [done for _, done in group])

    def _written(self, result: object, group: Sequence[Deferred[None]]) -> None:
        self._busy = False
        if self._waiting:
            self._go()
        for done in group:
            if isinstance(result, Failure):
                done.errback(result)
            else:
                done.callback(None)
        if self._closing is not None and not self._busy:
            self._end()

    def _end(self) -> None:
        if self._pool.started:
            self._pool.stop()
        if self._closing is not None:
            self._closing.callback(None)
