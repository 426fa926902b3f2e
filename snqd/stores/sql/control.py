"""The control channel in a database, from the side of a process that listens: it looks once a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from snqd.core.errors import StoreError
from snqd.pipe.periodic import PeriodicCall
from snqd.stores.control import IControlListener
from snqd.stores.sql.control_table import MOST_AT_ONCE, ControlTable, Message

LOOK_EVERY = 1.0
LATE = 10.0
"""Seconds for which a number that is left out is waited for: its transaction may end after that of a higher one."""


class Position:
    """How far a table was read, by the numbers of its rows, some of which turn up late."""

    def __init__(self, last: int) -> None:
        self.floor = last
        self._seen: dict[int, float] = {}

    def fresh(self, messages: Iterable[Message], now: float) -> list[bytes]:
        """Those of the `messages` above the floor that were not there before."""
        fresh = []
        for number, body in messages:
            if number > self.floor and number not in self._seen:
                self._seen[number] = now
                fresh.append(body)
        for number in [number for number, when in self._seen.items() if now - when > LATE]:
            self.floor = max(self.floor, number)
        if len(fresh) == MOST_AT_ONCE:  # the next ones do not come before these are left behind
            self.floor = max(self._seen)
        self._seen = {number: when for number, when in self._seen.items() if number > self.floor}
        return fresh


@implementer(IControlListener)
class SqlControlListener:
    """See :class:`~snqd.stores.control.IControlListener`.

    :param url: SQLAlchemy's.
    """

    log = Logger()

    def __init__(self, reactor: Any, url: str) -> None:
        self._reactor = reactor
        self._table = ControlTable(url)
        self._pool = ThreadPool(0, 1, "snqd control")
        self._looks = PeriodicCall(reactor, self._look)
        self._looking: Deferred[Any] = succeed(None)
        self._position: Position | None = None
        self._away = True
        self._problem = ""

    def start(self, heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        """See :class:`~snqd.stores.control.IControlListener`."""
        self._heard, self._up = heard, up
        self._pool.start()
        self._looks.start(LOOK_EVERY)

    def stop(self) -> Deferred[Any]:
        """See :class:`~snqd.stores.control.IControlListener`."""
        if not self._looks.running:
            return succeed(None)
        self._looks.stop()
        ended: Deferred[Any] = Deferred()
        self._looking.addBoth(ended.callback)
        return ended.addCallback(self._close)

    def _close(self, _: Any) -> None:
        self._table.close()
        self._pool.stop()

    def _look(self) -> Deferred[Any]:
        self._looking = maybeDeferred(self._in_thread, self._read).addCallbacks(self._found, self._not_found)
        return self._looking

    def _read(self) -> Iterable[Message]:
        """What is new; blocking."""
        if self._position is None:
            self._position = Position(self._table.last())
        return self._table.behind(self._position.floor)

    def _found(self, messages: Iterable[Message]) -> None:
        assert self._position is not None
        if self._away:
            self._away, self._problem = False, ""
            self._up()
        for body in self._position.fresh(messages, self._reactor.seconds()):
            self._heard(body, "")

    def _not_found(self, failure: Failure) -> None:
        self._away = True
        if failure.check(StoreError) is None:
            self.log.failure("looking for commands in the database broke", failure)
        elif str(failure.value) != self._problem:
            self._problem = str(failure.value)
            self.log.warn("can't look for commands, and tries again: {error}", error=failure.value)

    def _in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, function)
