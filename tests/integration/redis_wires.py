"""A wire between a store and its Redis that a test can cut at the worst moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer


class _Client(ProxyClient):
    """The side to Redis."""

    def dataReceived(self, data: bytes) -> None:
        wire = self.peer.factory.wire
        if wire.swallow is not None and wire.swallow(self.peer.last):
            wire.swallow = None
            wire.swallowed.callback(None)
            self.peer.transport.abortConnection()
            self.transport.abortConnection()
        else:
            super().dataReceived(data)


class _ClientFactory(ProxyClientFactory):
    protocol = _Client
    noisy = False


class _Server(ProxyServer):
    """The side to the store."""

    clientProtocolFactory = _ClientFactory
    last = b""

    def connectionMade(self) -> None:
        self.factory.wire.connections.append(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        self.last = data
        super().dataReceived(data)


class Wire:
    """Listens on a port of its own and passes everything on to `port`."""

    def __init__(self, port: int) -> None:
        factory = ProxyFactory("127.0.0.1", port)
        factory.protocol = _Server
        factory.noisy = False
        factory.wire = self
        self.connections: list[Any] = []
        self.swallow: Callable[[bytes], bool] | None = None
        self.swallowed: Deferred[None] = Deferred()
        self._port = reactor.listenTCP(0, factory, interface="127.0.0.1")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port.getHost().port}/0"

    def lose_reply(self, request: Callable[[bytes], bool]) -> Deferred[None]:
        """Let the next request for which `request` is true reach Redis, and lose the reply with the connection; fires
        when that has happened."""
        self.swallowed = Deferred()
        self.swallow = request
        return self.swallowed

    async def close(self) -> None:
        await self._port.stopListening()
        for connection in self.connections:
            connection.transport.abortConnection()
