"""Which addresses an http handler may connect to, enforced on the very addresses that are connected to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from snqd.core.errors import SnqdError

CONNECT_TIMEOUT = 10.0

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(SnqdError):
    """A host has no address that the handler may connect to."""


class AddressGuard:
    """Tells public addresses, and the networks that the operator allows, from all others.

    :param allow: networks in CIDR form.
    :raises ValueError: if one of them is none.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allow: list[IPNetwork] = [ipaddress.ip_network(network, strict=False) for network in allow]

    def permits(self, host: str) -> bool:
        """Whether the address `host` may be connected to.

        An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged by that.
        """
        address = _meant(ipaddress.ip_address(host))
        return _is_public(address) or any(address in network for network in self._allow)


def _meant(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    # is_global takes multicast and some reserved addresses for public ones.
    return address.is_global and not (address.is_multicast or address.is_reserved)


@implementer(IAgentEndpointFactory)
class GuardedEndpoints:
    """Makes the endpoints of an Agent: none of them connects to an address that `guard` refuses. TLS is verified."""

    def __init__(self, reactor: Any, guard: AddressGuard) -> None:
        self._reactor = reactor
        self._guard = guard
        self._tls = BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint to reach `uri` by.

        :raises SchemeNotSupported: unless it is http or https.
        """
        endpoint = _GuardedEndpoint(self._reactor, self._guard, uri.host.decode("ascii"), uri.port)
        if uri.scheme == b"https":
            return wrapClientTLS(self._tls.creatorForNetloc(uri.host, uri.port), endpoint)
        if uri.scheme == b"http":
            return endpoint
        raise SchemeNotSupported(f"{uri.scheme!r} is neither http nor https")


@implementer(IStreamClientEndpoint)
class _GuardedEndpoint:
    def __init__(self, reactor: Any, guard: AddressGuard, host: str, port: int) -> None:
        self._reactor = reactor
        self._guard = guard
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        resolver = _GuardedResolver(self._reactor.nameResolver, self._guard)
        reactor = _ReactorWithResolver(self._reactor, resolver)
        endpoint = HostnameEndpoint(reactor, self._host, self._port, CONNECT_TIMEOUT)
        return endpoint.connect(protocolFactory).addErrback(self._explained, resolver.refused)

    def _explained(self, failure: Failure, refused: list[str]) -> Failure:
        if not (refused and failure.check(DNSLookupError)):
            return failure
        raise AddressRefused(
            f"{self._host} is at {', '.join(refused)}: http handlers reach no private addresses but those of the "
            f"networks in http_allow ([handler:QUEUE] of the configuration)"
        )


@implementer(IReactorPluggableNameResolver)
class _ReactorWithResolver:
    """As much of a reactor as HostnameEndpoint uses, with a name resolver of its own."""

    def __init__(self, reactor: Any, resolver: IHostnameResolver) -> None:
        self._reactor = reactor
        self.nameResolver = resolver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        previous, self.nameResolver = self.nameResolver, resolver
        return previous


@implementer(IHostnameResolver)
class _GuardedResolver:
    """Passes on the addresses that the guard permits, and remembers the others."""

    def __init__(self, resolver: IHostnameResolver, guard: AddressGuard) -> None:
        self._resolver = resolver
        self._guard = guard
        self.refused: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = _GuardedReceiver(resolutionReceiver, self._guard, self.refused)
        return self._resolver.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IResolutionReceiver)
class _GuardedReceiver:
    def __init__(self, receiver: IResolutionReceiver, guard: AddressGuard, refused: list[str]) -> None:
        self._receiver = receiver
        self._guard = guard
        self._refused = refused

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: Any) -> None:
        if self._guard.permits(address.host):
            self._receiver.addressResolved(address)
        else:
            self._refused.append(address.host)

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()
