"""Driving a handler's coroutine: without a Deferred as long as it does not wait, as a Deferred from there on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred


def begin(coroutine: Coroutine[Any, Any, Any]) -> Deferred[Any] | None:
    """Run `coroutine` up to its first wait: None if it is done without one, else a Deferred of it.

    To drive it by hand first costs a fifth of making the Deferred at once, which most handlers never need.

    :raises TypeError: if it waits for something that is no Deferred, or returns what should have been awaited.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        if end.value is not None:
            refuse_awaitable(end.value)
        return None
    return Deferred.fromCoroutine(_Started(coroutine, awaited))


def refuse_awaitable(result: object, advice: str = "await it inside, or return a Deferred") -> None:
    """Check that a handler's result is not something that nobody would wait for.

    :param advice: what to do instead.
    :raises TypeError: if it is.
    """
    if not hasattr(result, "__await__"):
        return
    if isinstance(result, Coroutine):
        result.close()
    raise TypeError(f"handle() gave back a {type(result).__name__} that nothing awaits: {advice}")


class _Started(Coroutine[Any, Any, Any]):
    """A coroutine that waits for `awaited`, in the shape of one that has not begun, for Deferred.fromCoroutine."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: object) -> None:
        self._coroutine = coroutine
        self._first: Deferred[Any] | None = self._checked(awaited)

    def send(self, value: Any) -> Any:
        if self._first is None:
            return self._step(self._coroutine.send, value)
        first, self._first = self._first, None
        return first

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def _step(self, step: Callable[..., Any], *value: Any) -> Any:
        try:
            awaited = step(*value)
        except StopIteration as end:
            refuse_awaitable(end.value)
            raise
        return self._checked(awaited)

    def _checked(self, awaited: object) -> Deferred[Any]:
        if isinstance(awaited, Deferred):
            return awaited
        self._coroutine.close()
        raise TypeError(
            f"handle() awaits a {type(awaited).__name__}: handlers run on Twisted's reactor, so await Deferreds"
        )
