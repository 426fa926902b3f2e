"""ManagerThreads: the threads in which one I/O manager's blocking code runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from snqd.core.errors import SnqdError

MAX_THREADS = 4
"""Threads of one manager."""


class Threads(Protocol):
    """Runs blocking calls of one manager."""

    def call(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """See :meth:`ManagerThreads.call`."""

    def when_idle(self) -> Deferred[None]:
        """See :meth:`ManagerThreads.when_idle`."""

    def close(self) -> None:
        """See :meth:`ManagerThreads.close`."""


class ManagerThreads:
    """Starts no thread before the first call.

    :param name: of the manager, for the threads' names.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._name = name
        self._pool: ThreadPool | None = None
        self._under_way = 0
        self._waiting: list[Deferred[None]] = []
        self._closed = False

    def call(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Run ``function(*args)`` in a thread; fires with its result, or fails with what it raised, in the reactor's
        thread. Fails at once after :meth:`close`.
        """
        if self._closed:
            return fail(SnqdError(f"I/O manager {self._name} has stopped: it has no threads any more"))
        if self._pool is None:
            self._pool = _make_pool(self._name)
        self._under_way += 1
        return deferToThreadPool(self._reactor, self._pool, function, *args).addBoth(self._ended)

    def when_idle(self) -> Deferred[None]:
        """Fires when no call is under way."""
        if not self._under_way:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def close(self) -> None:
        """End the threads; one whose call is still under way ends with the process."""
        self._closed = True
        if self._pool is not None and not self._under_way:
            self._pool.stop()
            self._pool = None

    def _ended(self, result: Any) -> Any:
        self._under_way -= 1
        if not self._under_way:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
        return result


def _make_pool(name: str) -> ThreadPool:
    pool = ThreadPool(0, MAX_THREADS, f"I/O manager {name}")
    # A call that hangs must not keep its process from ending.
    pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
    pool.start()
    return pool
