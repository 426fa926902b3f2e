"""One connection to Redis, on txredisapi's protocol: commands and scripts with a deadline, errors in snqd's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import txredisapi
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import ITCPTransport, IWriteDescriptor
from txredisapi import BaseRedisProtocol

from snqd.stores.redis.errors import RedisConnectionLost, store_error
from snqd.stores.redis.scripts import Script

DEADLINE = 15.0
"""Seconds after which a connection on which an answer is missing is given up."""


def _nothing(connection: Any) -> None:
    """What is called where nobody listens."""


class RedisConnection(BaseRedisProtocol):  # type: ignore[misc]
    """A connection that speaks bytes.

    The base class is the one in pure Python, whatever is installed: with hiredis's parser an error inside a reply loses
    the connection.

    :param reactor: measures the deadline.
    :param where: the server, as messages name it.
    :ivar made: called with the connection once it is there.
    :ivar lost: called with the connection when it is gone.
    """

    def __init__(self, reactor: Any, where: str) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._reactor = reactor
        self._rest = b""
        self._why = ""
        self.where = where
        self.made: Callable[[Any], Any] = _nothing
        self.lost: Callable[[Any], Any] = _nothing

    def connectionMade(self) -> None:
        """Called by the reactor."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        super().connectionMade()
        self.made(self)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Called by the reactor."""
        super().dataReceived(data)
        while self._rest:
            rest, self._rest = self._rest, b""
            super().dataReceived(rest)

    def setLineMode(self, extra: bytes = b"") -> None:
        """Called by the parser behind each string; its own way with the rest costs a turn of the reactor each time."""
        self.line_mode = 1
        self._rest = extra

    def connectionLost(self, why: Any) -> None:
        """Called by the reactor."""
        self._why = why.getErrorMessage()
        # First of all: what fails by it is tried again at once, and not on this connection.
        self.lost(self)
        super().connectionLost(why)

    async def command(self, *words: Any) -> Any:
        """Send a command; returns its reply.

        :raises RedisConnectionLost: if no reply comes; the command may have been done.
        :raises StoreError: if Redis refuses it.
        """
        try:
            return await self._sent(words)
        except txredisapi.ResponseError as error:
            raise store_error(self.where, str(error)) from error
        except txredisapi.RedisError as error:
            raise self._loss() from error

    async def run(self, script: Script, prefix: str, *arguments: Any, at_once: bool = False) -> Any:
        """Run a script; raises as :meth:`command` does.

        :param at_once: send it before the reactor's next turn, together with nothing else.
        """
        try:
            reply = self._sent(("EVALSHA", script.sha1, 1, prefix, *arguments))
            if at_once:
                self._write_now()
            return await reply
        except txredisapi.ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise store_error(self.where, str(error)) from error
        except txredisapi.RedisError as error:
            raise self._loss() from error
        return await self.command("EVAL", script.text, 1, prefix, *arguments)

    def _write_now(self) -> None:
        """What goes wrong is left to the reactor's own try, and so is the end of a connection that is being closed."""
        if not self.transport.disconnecting and IWriteDescriptor.providedBy(self.transport):
            self.transport.doWrite()

    def _loss(self) -> RedisConnectionLost:
        return RedisConnectionLost(f"the connection to Redis at {self.where} is lost: {self._why}")

    def _sent(self, words: tuple[Any, ...]) -> Deferred[Any]:
        reply: Deferred[Any] = self.execute_command(*words)
        return reply.addTimeout(DEADLINE, self._reactor, self._give_up)

    def _give_up(self, failure: Any, timeout: float) -> Any:
        failure.trap(CancelledError)
        self.transport.abortConnection()
        raise RedisConnectionLost(f"Redis at {self.where} has not answered for {timeout:g} seconds")
