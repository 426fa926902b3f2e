"""Pings reach a real monitor, by UDP and by HTTP; one that is not there disturbs nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import LogEvent, globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import Site

from snqd.monitor.ping import Pinger

real: Any = reactor
COUNTED = b"counter=handled&owners%5B0%5D=queue%3Aq&owners%5B1%5D=site%3Aexample.org&owners%5B2%5D=thread%3At.1"
SECONDS = 20.0


class Monitor(DatagramProtocol, Resource):
    """A monitor that keeps what it is told, by datagrams or POSTs."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.heard: DeferredQueue[bytes] = DeferredQueue()

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.heard.put(datagram)

    def render_POST(self, request: Any) -> bytes:
        assert request.getHeader("content-type") == "application/x-www-form-urlencoded"
        self.heard.put(request.content.read())
        return b"thanks"

    def next(self) -> Deferred[bytes]:
        return self.heard.get().addTimeout(SECONDS, real)


@pytest.fixture
def errors() -> Iterator[DeferredQueue[str]]:
    """What the pinger logs, as it logs it."""
    texts: DeferredQueue[str] = DeferredQueue()

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("snqd.monitor.ping"):
            texts.put(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield texts
    globalLogPublisher.removeObserver(observe)


async def _tell_twice(target: str, monitor: Monitor) -> None:
    pinger = Pinger(real, target, "t.1")
    pinger.state("idle")
    assert (await monitor.next()).startswith(b"thread_id=t.1&state=idle&substate=&ts=")
    pinger.counter("handled", "q", "example.org", 6)
    assert [await monitor.next() for _ in range(6)] == [COUNTED] * 6
    await pinger.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_udp_monitor_hears_it(host: str) -> None:
    monitor = Monitor()
    port = real.listenUDP(0, monitor, interface="127.0.0.1")
    try:
        await _tell_twice(f"udp://{host}:{port.getHost().port}", monitor)
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_an_http_monitor_hears_it() -> None:
    monitor = Monitor()
    port = real.listenTCP(0, Site(monitor), interface="127.0.0.1")
    try:
        await _tell_twice(f"http://127.0.0.1:{port.getHost().port}/ping", monitor)
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("scheme", "kind", "reason"),
    [("udp", socket.SOCK_DGRAM, "nothing listens there"), ("http", socket.SOCK_STREAM, "ConnectionRefusedError")],
)
async def test_a_monitor_that_refuses_is_logged(
    scheme: str, kind: socket.SocketKind, reason: str, errors: DeferredQueue[str]
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        port = taken.getsockname()[1]
        if kind == socket.SOCK_DGRAM:
            taken.close()
        pinger = Pinger(real, f"{scheme}://127.0.0.1:{port}", "t.1")
        pinger.counter("handled", "q", "example.org", 3)
        assert reason in await errors.get().addTimeout(SECONDS, real)
        await pinger.close()
