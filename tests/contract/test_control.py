"""The control channel on every store that hosts share: what is published reaches everybody who listens, once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from snqd.config.load import load_file
from snqd.stores.control import IControlListener
from snqd.stores.factory import control_channel_of
from snqd.wire.control_message import MAX_BYTES
from tests.patience import until
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.rabbitmq import RabbitMq, StrictRabbitMq4
from tests.servers.redis import running_redis


def on_database(start: Callable[[], Any]) -> Callable[[Path], tuple[int, str]]:
    def keys(folder: Path) -> tuple[int, str]:
        server = start()
        return server.port, f"db = {server.url(server.database())}"

    return keys


def on_redis(folder: Path) -> tuple[int, str]:
    server = running_redis()
    return server.port, f"subsystem = redis\nredis = {server.url}\nqueue_basename = {folder}"


def on_broker(kind: type[Broker]) -> Callable[[Path], tuple[int, str]]:
    def keys(folder: Path) -> tuple[int, str]:
        if kind.missing() and not os.environ.get("CI"):
            pytest.skip(f"needs {kind.missing()}")
        broker = running(kind)
        login = f"stomp_username = {broker.username}\nstomp_password = {broker.password}"
        where = f"stomp_server = 127.0.0.1:{broker.port}\ncontrol_channel = /topic/{folder.name}"
        return broker.port, f"subsystem = stomp\n{where}\n{login}"

    return keys


KINDS = {
    "postgresql": on_database(postgresql),
    "mariadb": on_database(mariadb),
    "redis": on_redis,
    "rabbitmq": on_broker(RabbitMq),
    "activemq": on_broker(ActiveMq),
    "strict_rabbitmq4": on_broker(StrictRabbitMq4),
}


class Link:
    """A way to the server that can be cut.

    :ivar refused: how many connections were tried since.
    """

    def __init__(self, port: int) -> None:
        link = self
        self.connections: list[Any] = []
        self.refused = 0
        self._broken = False

        class Server(ProxyServer):
            def connectionMade(self) -> None:
                if link._broken:
                    link.refused += 1
                    self.transport.abortConnection()
                else:
                    link.connections.append(self.transport)
                    super().connectionMade()

            def connectionLost(self, reason: Any) -> None:
                if self.peer is not None:
                    super().connectionLost(reason)

        factory = ProxyFactory("127.0.0.1", port)
        factory.protocol = Server
        factory.noisy = False
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port: int = self._listening.getHost().port

    def cut(self) -> None:
        self._broken = True
        for connection in self.connections:
            connection.abortConnection()
        self.connections.clear()

    def mend(self) -> None:
        self._broken = False

    async def close(self) -> None:
        self.cut()
        await self._listening.stopListening()


@attrs.define(eq=False)
class Ear:
    """:ivar ups: how often it began to listen."""

    listener: IControlListener
    bodies: list[bytes] = attrs.field(factory=list)
    ups: int = 0

    def heard(self, body: bytes, way: str) -> None:
        self.bodies.append(body)

    def up(self) -> None:
        self.ups += 1


class Channel:
    """The channel of one farm; publishes at once, listens by a link that can be cut."""

    def __init__(self, folder: Path, keys: Callable[[Path], tuple[int, str]]) -> None:
        port, text = keys(folder)
        self.link = Link(port)
        self.ears: list[Ear] = []
        self._config = folder / "snq.ini"
        self._publisher = self._channel(text).control_publisher()
        self._by_link = self._channel(text.replace(f":{port}", f":{self.link.port}"))

    def _channel(self, text: str) -> Any:
        self._config.write_text(f"[queue]\ncontrol_unsigned = yes\n{text}\n")
        return control_channel_of(load_file(self._config))

    async def ear(self) -> Ear:
        listener = self._by_link.control_listener(reactor, Random())
        ear = Ear(listener)
        self.ears.append(ear)
        listener.start(ear.heard, ear.up)
        await until(lambda: ear.ups)
        return ear

    def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            self._publisher.publish(body)

    async def close(self) -> None:
        for ear in self.ears:
            await ear.listener.stop()
        self._publisher.close()
        await self.link.close()


@pytest_twisted.async_yield_fixture(
    params=[pytest.param(each, marks=[pytest.mark.today] if "4" in each else []) for each in KINDS]
)
async def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each kind in turn."""
    made = Channel(tmp_path, KINDS[request.param])
    yield made
    await made.close()


@ensureDeferred
async def test_everybody_hears_each_message_once_and_nothing_of_before(channel: Channel) -> None:
    channel.publish(b"before")
    ears = [await channel.ear(), await channel.ear()]
    bodies = [b"restart", b"restart", b"update:alpha", b"snqd1 - {} \xff\n"]
    channel.publish(*bodies)
    await until(lambda: all(len(ear.bodies) >= len(bodies) for ear in ears))
    late = await channel.ear()
    channel.publish(b"last")
    await until(lambda: all(ear.bodies[-1:] == [b"last"] for ear in channel.ears))
    assert [ear.bodies for ear in ears] == [[*bodies, b"last"]] * 2
    assert late.bodies == [b"last"]
    assert [ear.ups for ear in channel.ears] == [1, 1, 1]


@ensureDeferred
async def test_a_listener_that_was_cut_off_listens_again_and_says_so(channel: Channel) -> None:
    ear = await channel.ear()
    channel.link.cut()
    await until(lambda: channel.link.refused)
    channel.link.mend()
    await until(lambda: ear.ups == 2)
    channel.publish(b"restart")
    await until(lambda: b"restart" in ear.bodies)
    assert ear.bodies == [b"restart"]


@ensureDeferred
async def test_what_is_too_long_is_cut_to_what_shows_it(channel: Channel) -> None:
    ear = await channel.ear()
    channel.publish(b"x" * 50_000)
    await until(lambda: ear.bodies)
    assert ear.bodies == [b"x" * (MAX_BYTES + 1)]
