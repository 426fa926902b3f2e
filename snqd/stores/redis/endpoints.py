"""Where a connection to Redis goes: a host, a Unix socket, or the master that Sentinels name at that moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.connection import RedisConnection

CONNECT_TIMEOUT = 5
"""Seconds."""
_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def endpoint_of(reactor: Any, address: RedisAddress) -> IStreamClientEndpoint:
    """The endpoint of the Redis at `address`; asked anew for each connection.

    :raises StoreError: if its certificates can't be read.
    """
    if address.path:
        return UNIXClientEndpoint(reactor, address.path, timeout=CONNECT_TIMEOUT)
    if address.service:
        return SentinelEndpoint(reactor, address)
    ((host, port),) = address.hosts
    if address.tls:
        return wrapClientTLS(ssl.optionsForClientTLS(host, trustRoot=_trusted(address)), _host(reactor, host, port))
    return _host(reactor, host, port)


def _trusted(address: RedisAddress) -> Any:
    """What a server's certificate is proved by."""
    if not address.ca:
        return ssl.platformTrust()
    try:
        parts = _CERTIFICATE.findall(Path(address.ca).read_bytes())
        certificates = [ssl.Certificate.loadPEM(part) for part in parts]
    except (OSError, ValueError, crypto.Error) as error:
        raise StoreError(f"[queue] redis: the certificates in {address.ca} can't be read: {error}") from error
    if not certificates:
        raise StoreError(f"[queue] redis: there is no certificate in {address.ca}: name a PEM file")
    return ssl.trustRootFromCertificates(certificates)


def _host(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    return HostnameEndpoint(reactor, host, port, timeout=CONNECT_TIMEOUT)


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """The master of a service, by the first of its Sentinels that knows one. They are asked without a password.

    txredisapi's own Sentinel support takes hiredis's parser where that is installed, and the global reactor.
    """

    def __init__(self, reactor: Any, address: RedisAddress) -> None:
        self._reactor = reactor
        self._address = address

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Ask, and connect; fails where no Sentinel knows a master, or the master can't be reached."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        host, port = await self._master()
        return await _host(self._reactor, host, port).connect(factory)

    async def _master(self) -> tuple[str, int]:
        answers = []
        for host, port in self._address.hosts:
            try:
                return await self._ask(host, port)
            except Exception as error:  # noqa: BLE001 - whatever ails this Sentinel, the next may know
                answers.append(f"{host}:{port}: {error}")
        raise StoreUnavailable(f"no Sentinel names a master of {self._address.service}: {'; '.join(answers)}")

    async def _ask(self, host: str, port: int) -> tuple[str, int]:
        where = f"{host}:{port}"
        factory = Protocols(lambda: RedisConnection(self._reactor, where))
        sentinel: Any = await _host(self._reactor, host, port).connect(factory)
        try:
            found = await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        finally:
            sentinel.transport.loseConnection()
        if not found:
            raise StoreError("it knows no such service")
        return found[0].decode(), int(found[1])


class Protocols(Factory):
    """Makes protocols that need no factory."""

    noisy = False

    def __init__(self, make: Callable[[], RedisConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: Any) -> RedisConnection:
        """Called by the reactor."""
        return self._make()
