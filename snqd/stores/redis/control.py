"""The control channel on Redis: pub/sub, on a channel under the farm's prefix."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.stores.control import IControlListener
from snqd.stores.redis.link import Link
from snqd.stores.redis.listener import SubscribedConnection
from snqd.stores.redis.login import log_in
from snqd.stores.redis.names import control_channel
from snqd.wire.control_message import MAX_BYTES

PING_EVERY = 15.0
"""Seconds between looks whether the connection still lives."""


@implementer(IControlListener)
class RedisControlListener:
    """See :class:`~snqd.stores.control.IControlListener`."""

    def __init__(self, reactor: Any, address: RedisAddress, prefix: str, random: Random) -> None:
        self._address = address
        self._channel = control_channel(prefix)
        where = str(address)
        self._link = Link(
            reactor,
            address,
            random,
            lambda: SubscribedConnection(reactor, where, lambda body: self._heard(body[: MAX_BYTES + 1], "")),
            self._subscribe,
            "the control channel",
        )
        self._pings = LoopingCall(self._ping)
        self._pings.clock = reactor

    def start(self, heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        """See :class:`~snqd.stores.control.IControlListener`."""
        self._heard, self._up = heard, up
        self._link.start()
        self._pings.start(PING_EVERY, now=False)

    def stop(self) -> Deferred[Any]:
        """See :class:`~snqd.stores.control.IControlListener`."""
        if self._pings.running:
            self._pings.stop()
        return self._link.stop()

    async def _subscribe(self, connection: SubscribedConnection) -> None:
        await log_in(connection, self._address)
        await connection.command("SUBSCRIBE", self._channel)
        self._up()

    def _ping(self) -> None:
        if self._link.connection is not None:
            self._link.connection.ping()
