"""PeriodicCall: a call that is made again and again, whatever becomes of the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class PeriodicCall(LoopingCall):
    """A LoopingCall ends with the first call that fails, and nobody hears of it: no heart beats any more, no lease is
    kept. This one says in the log what failed, and goes on.

    :param call: may give a Deferred or a coroutine; the next call is made after its end.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, call: Callable[[], Any]) -> None:
        super().__init__(self._call)
        self.clock = clock
        self._made = call

    def _call(self) -> Deferred[Any]:
        return maybeDeferred(self._made).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a periodic call broke, and is made again", failure)
