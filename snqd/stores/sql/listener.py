"""SqlListener: hears PostgreSQL's notifications, on a connection of its own that is made again for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from snqd.core.backoff import Backoff
from snqd.stores.sql.postgresql import CHANNEL
from snqd.stores.sql.server import SqlServer


@implementer(IReadDescriptor)
class SqlListener:
    """Calls `heard` in the reactor's thread after notifications of others, and after each time that it was deaf.

    :param own: the payload of this process's own notifications, which are passed over.
    :param in_thread: runs a blocking call aside; fires with what it returned.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        server: SqlServer,
        own: str,
        in_thread: Callable[[Callable[[], Any]], Deferred[Any]],
        heard: Callable[[], Any],
        random: Random,
    ) -> None:
        self._reactor = reactor
        self._server = server
        self._own = own.encode()
        self._in_thread = in_thread
        self._heard = heard
        self._backoff = Backoff(0.5, 15.0, random)
        self._connection: Any = None
        self._fd = -1
        self._again: Any = None
        self._stopped = False

    def start(self) -> Deferred[None]:
        """Begin to listen; fires when that is so, or when it did not work the first time."""
        return self._in_thread(self._connect).addCallbacks(self._connected, self._failed)

    def stop(self) -> None:
        """Listen no more."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._hang_up()

    def fileno(self) -> int:
        """The connection's socket, -1 where there is none."""
        return self._fd

    def logPrefix(self) -> str:
        """The listener's name in the reactor's own messages."""
        return f"listener to {self._server.name}"

    def doRead(self) -> None:
        """Called by the reactor when the server has sent something."""
        import psycopg

        heard = False
        wire = self._connection.pgconn
        try:
            wire.consume_input()
            while (notification := wire.notifies()) is not None:
                heard |= notification.extra != self._own
        except psycopg.Error as error:
            self._lost(error)
        if heard:
            self._heard()

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it gives up on the socket."""
        self._lost(reason)

    def _connect(self) -> Any:
        """A connection that listens; blocking."""
        connection = self._server.own_connection()
        connection.autocommit = True
        connection.execute(f"LISTEN {CHANNEL}")
        return connection

    def _connected(self, connection: Any) -> None:
        if self._stopped:
            connection.close()
            return
        # A descriptor of our own: the driver closes its one by itself, and the reactor would still hold it.
        self._connection, self._fd = connection, os.dup(connection.fileno())
        self._backoff.succeeded()
        self._reactor.addReader(self)
        self._heard()

    def _failed(self, failure: Failure) -> None:
        if not self._backoff.failures:
            self.log.warn("can't listen for new jobs, and polls meanwhile: {error}", error=failure.value)
        self._listen_later()

    def _lost(self, reason: Any) -> None:
        self.log.warn("the connection that listens for new jobs was lost: {reason}", reason=reason)
        self._hang_up()
        self._listen_later()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._connection.close()
            self._connection, self._fd = None, -1

    def _listen_later(self) -> None:
        if not self._stopped and self._again is None:
            self._again = self._reactor.callLater(self._backoff.failed(), self._listen_again)

    def _listen_again(self) -> None:
        self._again = None
        self.start()
