"""RedisListener: hears what is published on a channel: that there is something new to claim, or a command."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from snqd.config.redis_address import RedisAddress
from snqd.stores.redis.connection import RedisConnection
from snqd.stores.redis.link import Link
from snqd.stores.redis.login import log_in


class SubscribedConnection(RedisConnection):
    """A connection that listens to channels; txredisapi's own subscriber may come with hiredis's parser.

    :param heard: called with each message.
    """

    def __init__(self, reactor: Any, where: str, heard: Callable[[bytes], Any]) -> None:
        super().__init__(reactor, where)
        self._heard = heard
        self._unanswered = 0

    def replyReceived(self, reply: Any) -> None:
        """Called by the parser."""
        if isinstance(reply, list) and reply[0] == b"message":
            self._heard(reply[2])
        elif isinstance(reply, list) and reply[0] == b"pong":
            self._unanswered = 0
        else:
            super().replyReceived(reply)

    def ping(self) -> None:
        """See whether the other side lives; a connection that did not answer the ping before is given up."""
        if self._unanswered:
            self.transport.abortConnection()
        else:
            self._unanswered += 1
            self.transport.write(self._build_command("PING"))


class RedisListener:
    """Listens to one channel, over a connection of its own, for ever.

    :param message: called with each message.
    :param up: called each time that listening begins; messages may have been missed before it.
    :param purpose: what is listened for, for the log.
    """

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        random: Random,
        channel: str,
        message: Callable[[bytes], Any],
        up: Callable[[], Any],
        purpose: str,
    ) -> None:
        self._address = address
        self._channel = channel
        self._up = up
        where = str(address)
        self._link = Link(
            reactor, address, random, lambda: SubscribedConnection(reactor, where, message), self._subscribe, purpose
        )

    def start(self) -> None:
        """Begin, and go on trying."""
        self._link.start()

    def is_up(self) -> Deferred[Any]:
        """Fires when it listens; fails with StoreError where Redis refuses for good."""
        return self._link.up()

    def stop(self) -> Deferred[Any]:
        """Listen no more."""
        return self._link.stop()

    def ping(self) -> None:
        """Find out whether the connection still lives; to be called now and then."""
        if self._link.connection is not None:
            self._link.connection.ping()

    async def _subscribe(self, connection: SubscribedConnection) -> None:
        await log_in(connection, self._address)
        await connection.command("SUBSCRIBE", self._channel)
        self._up()


def unless_own(own: str, heard: Callable[[], Any]) -> Callable[[bytes], Any]:
    """Calls `heard` for each message but those with the text `own`, which the listener's process has sent itself."""
    mine = own.encode()

    def message(text: bytes) -> None:
        if text != mine:
            heard()

    return message
