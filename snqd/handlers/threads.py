"""HandlerThreads: the threads in which a queue's blocking handlers run, and how many of them are stuck."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock, Thread
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool


class Pool(Protocol):
    """What HandlerThreads needs of :class:`twisted.python.threadpool.ThreadPool`."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def callInThreadWithCallback(self, onResult: Callable[[bool, Any], Any], func: Callable[..., Any]) -> None: ...


class _DaemonThreads(ThreadPool):
    # A thread that is stuck for good must not keep its process from ending.
    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]


def make_pool(size: int, name: str) -> Pool:
    """A pool of at most `size` threads, each started when first needed."""
    return _DaemonThreads(0, size, name)


class HandlerThreads:
    """Runs blocking calls in threads; results come back in the reactor's thread.

    A thread can't be cancelled. So a cancelled call that has begun goes on, and counts as stuck, until it returns;
    one that still waits for its turn never begins.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int, pool: Pool) -> None:
        self._reactor = reactor
        self._pool = pool
        self.size = size
        self._running: set[_Call] = set()
        pool.start()

    @property
    def stuck(self) -> int:
        """How many threads work on calls that were cancelled."""
        return sum(call.begun and call.cancelled for call in self._running)

    def call(self, function: Callable[..., Any], *args: Any) -> ThreadResult:
        """Run ``function(*args)`` in a thread; the Deferred that comes back can be cancelled."""
        call = _Call(partial(function, *args))
        self._running.add(call)
        result = ThreadResult(call)
        self._pool.callInThreadWithCallback(
            lambda succeeded, value: self._reactor.callFromThread(self._ended, call, result, succeeded, value),
            call.run,
        )
        return result

    def close(self) -> None:
        """End the threads, except for those that are stuck: they end with the process."""
        if not self._running:
            self._pool.stop()

    def _ended(self, call: _Call, result: ThreadResult, succeeded: bool, value: Any) -> None:
        self._running.discard(call)
        if call.cancelled:
            return
        if succeeded:
            result.callback(value)
        else:
            result.errback(value if isinstance(value, Failure) else Failure(value))


class ThreadResult(Deferred[Any]):
    """The Deferred of a call in a thread."""

    def __init__(self, call: _Call) -> None:
        super().__init__(lambda _: call.cancel())
        self._call = call

    @property
    def begun(self) -> bool:
        """Whether a thread has taken the call up."""
        return self._call.begun


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = Lock()
        self.begun = False
        self.cancelled = False

    def run(self) -> Any:
        with self._lock:
            if self.cancelled:
                return None
            self.begun = True
        return self._function()

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
