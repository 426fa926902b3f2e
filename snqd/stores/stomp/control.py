"""The control channel on STOMP brokers: a topic, as StatusNet has it, on each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from zope.interface import implementer

from snqd.config.stomp_servers import StompSettings
from snqd.core.errors import StoreUnavailable
from snqd.stomp.connection import StompConnection, Subscription
from snqd.stomp.endpoints import make_endpoint
from snqd.stomp.errors import ProtocolError
from snqd.stomp.frame import Frame
from snqd.stores.control import IControlListener, IControlPublisher, Unheard
from snqd.stores.stomp.blocking import send_once, try_to_listen
from snqd.stores.stomp.brokers import login_of
from snqd.stores.stomp.dialects import dialect_of
from snqd.wire.control_message import MAX_BYTES


@implementer(IControlListener)
class StompControlListener:
    """See :class:`~snqd.stores.control.IControlListener`.

    :raises ConfigError: if the file with the password can't be read.
    """

    def __init__(self, reactor: Any, settings: StompSettings, topic: str, random: Random) -> None:
        login = login_of(settings)
        self._connections = [
            StompConnection(
                reactor,
                make_endpoint(reactor, server),
                login,
                random,
                f"{server} for the control channel {topic}",
                partial(self._message, server),
                lambda: self._up(),
                subscriptions=lambda connected: (
                    # Without acknowledgements: who is away has missed it.
                    Subscription("control", topic, {"ack": "auto", **dialect_of(connected).topic}),
                ),
            )
            for server in settings.servers
        ]

    def start(self, heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        """See :class:`~snqd.stores.control.IControlListener`."""
        self._heard, self._up = heard, up
        for connection in self._connections:
            connection.start()

    def stop(self) -> Deferred[Any]:
        """See :class:`~snqd.stores.control.IControlListener`."""
        return DeferredList([connection.stop() for connection in self._connections], consumeErrors=True)

    def _message(self, server: str, frame: Frame, epoch: int) -> None:
        self._heard(frame.body[: MAX_BYTES + 1], server)


@implementer(IControlPublisher)
class StompControlPublisher:
    """See :class:`~snqd.stores.control.IControlPublisher`: on every broker that answers; daemons listen to all."""

    def __init__(self, settings: StompSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic

    def publish(self, body: bytes) -> None:
        """See :class:`~snqd.stores.control.IControlPublisher`; one broker is enough.

        A broker confirms what nobody hears. So it must let this program listen as daemons do.
        """
        login = login_of(self._settings)
        problems, unheard = [], []
        for server in self._settings.servers:
            try:
                send_once(server, login, {"destination": self._topic}, body)
            except (OSError, StoreUnavailable, ProtocolError) as error:
                problems.append(f"{server}: {error}")
                continue
            try:
                try_to_listen(server, login, self._topic)
            except (OSError, StoreUnavailable, ProtocolError) as error:
                unheard.append(f"{server} has taken it, and lets nobody listen to {self._topic}: {error}")
        if len(problems) == len(self._settings.servers):
            raise StoreUnavailable("; ".join(problems))
        if len(problems) + len(unheard) == len(self._settings.servers):
            raise Unheard("; ".join([*unheard, *problems]))

    def close(self) -> None:
        """See :class:`~snqd.stores.control.IControlPublisher`: each connection was closed at once."""
