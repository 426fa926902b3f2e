"""The control channel on Redis: pub/sub, on a channel under the farm's prefix."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.pipe.periodic import PeriodicCall
from snqd.stores.control import IControlListener
from snqd.stores.redis.listener import RedisListener
from snqd.stores.redis.names import control_channel
from snqd.wire.control_message import MAX_BYTES

PING_EVERY = 15.0
"""Seconds between looks whether the connection still lives."""


@implementer(IControlListener)
class RedisControlListener:
    """See :class:`~snqd.stores.control.IControlListener`."""

    def __init__(self, reactor: Any, address: RedisAddress, prefix: str, random: Random) -> None:
        self._listener = RedisListener(
            reactor,
            address,
            random,
            control_channel(prefix),
            lambda body: self._heard(body[: MAX_BYTES + 1], ""),
            lambda: self._up(),
            "the control channel",
        )
        self._pings = PeriodicCall(reactor, self._listener.ping)

    def start(self, heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        """See :class:`~snqd.stores.control.IControlListener`."""
        self._heard, self._up = heard, up
        self._listener.start()
        self._pings.start(PING_EVERY, now=False)

    def stop(self) -> Deferred[Any]:
        """See :class:`~snqd.stores.control.IControlListener`."""
        if self._pings.running:
            self._pings.stop()
        return self._listener.stop()
