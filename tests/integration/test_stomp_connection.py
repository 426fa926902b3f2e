"""Connections to brokers over real sockets: TCP, TLS that is verified, Unix."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_twisted import ensureDeferred
from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory, Protocol

from snqd.stomp.connection import StompConnection
from snqd.stomp.encoder import encode
from snqd.stomp.endpoints import make_endpoint
from snqd.stomp.login import Login
from snqd.stomp.parser import Parser


class Answering(Protocol):
    """A broker that agrees to everything."""

    def connectionMade(self) -> None:
        self.parser = Parser()

    def dataReceived(self, data: bytes) -> None:
        for frame in self.parser.feed(data):
            if frame.command == "CONNECT":
                self.transport.write(encode("CONNECTED", {"version": "1.2", "heart-beat": "0,0"}))
            elif "receipt" in frame.headers:
                self.transport.write(encode("RECEIPT", {"receipt-id": frame.headers["receipt"]}))


@pytest.fixture
def listen() -> Iterator[Any]:
    """Starts listeners that the test's end stops."""
    ports: list[Any] = []

    def listen(start: Any, *arguments: Any, **keywords: Any) -> Any:
        ports.append(start(arguments[0], Factory.forProtocol(Answering), *arguments[1:], **keywords))
        return ports[-1]

    yield listen
    for port in ports:
        port.stopListening()


def certificate(folder: Path) -> Any:
    """A certificate for localhost that nobody but its file vouches for; returns the server's side."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    (folder / "authority.pem").write_bytes(text)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ssl.PrivateCertificate.loadPEM(text + secret).options()


async def tried(text: str) -> tuple[bool, str]:
    """Whether one attempt to connect to `text` succeeds and something can be sent, and the complaint."""
    connection = StompConnection(reactor, make_endpoint(reactor, text), Login(), Random(), text)
    await connection.start()
    up = connection.protocol is not None
    if up:
        await connection.send("/queue/a", {}, b"hello")
    complaint = connection._complaint
    await connection.stop()
    return up, complaint


@ensureDeferred
async def test_tcp(listen: Any) -> None:
    port = listen(reactor.listenTCP, 0, interface="127.0.0.1").getHost().port
    assert await tried(f"tcp://127.0.0.1:{port}") == (True, "")


@ensureDeferred
async def test_unix(listen: Any, tmp_path: Path) -> None:
    listen(reactor.listenUNIX, str(tmp_path / "s"))
    assert await tried(f"unix:{tmp_path}/s") == (True, "")


@ensureDeferred
async def test_tls_with_an_authority_of_ones_own(listen: Any, tmp_path: Path) -> None:
    options = certificate(tmp_path)
    port = listen(reactor.listenSSL, 0, options, interface="127.0.0.1").getHost().port
    assert await tried(f"tls:localhost:{port}:trustRoots={tmp_path}") == (True, "")


@ensureDeferred
async def test_a_certificate_that_nobody_vouches_for_is_refused_and_named(listen: Any, tmp_path: Path) -> None:
    options = certificate(tmp_path)
    port = listen(reactor.listenSSL, 0, options, interface="127.0.0.1").getHost().port
    up, complaint = await tried(f"stomp+ssl://localhost:{port}")
    assert not up
    assert "certificate verify failed" in complaint


@ensureDeferred
async def test_nobody_listens(tmp_path: Path) -> None:
    up, complaint = await tried(f"unix:{tmp_path}/nobody")
    assert not up
    assert complaint
