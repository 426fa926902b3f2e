"""A broker's side of a session, for tests without a broker."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame, Version
from snqd.stomp.login import Login
from snqd.stomp.parser import Parser
from snqd.stomp.protocol import StompProtocol


class Transport(StringTransport):
    """Counts writes, and loses its protocol's connection when it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.no_delay = False

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class Session:
    """A protocol, and what a broker would see of it and say to it."""

    def __init__(self, login: Login = Login("me", "secret"), clock: Clock | None = None) -> None:  # noqa: B008
        self.clock = clock or Clock()
        self.messages: list[Frame] = []
        self.protocol = StompProtocol(self.clock, login, self.messages.append)
        self.transport = Transport()
        self._parser = Parser()
        self.protocol.makeConnection(self.transport)

    def sent(self) -> list[Frame]:
        """The frames since the last call."""
        self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        return list(self._parser.feed(data))

    def answer(self, command: str, body: bytes = b"", **headers: str) -> None:
        """The broker says this."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.protocol.dataReceived(encode(command, named, body, self._parser.version))

    def connect(self, version: str = "1.2", **headers: str) -> Any:
        """Go through the handshake."""
        self.sent()
        self.answer("CONNECTED", version=version, **headers)
        self._parser.version = Version(version)
        return self.protocol

    def lose(self) -> None:
        """The connection is gone."""
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionLost()))
