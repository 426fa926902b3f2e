import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from snqd.handlers.addresses import (
    AddressGuard,
    AddressRefused,
    GuardedEndpoints,
    _GuardedReceiver,
    _GuardedResolver,
    _ReactorWithResolver,
)

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:224.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
]


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_permitted(host):
    assert AddressGuard().permits(host)


@pytest.mark.parametrize("host", PRIVATE)
def test_all_others_are_refused(host):
    assert not AddressGuard().permits(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.9.9.9", "fd12::1"])
def test_networks_that_the_operator_allows_are_permitted(host):
    guard = AddressGuard(["127.0.0.0/8", "fd12::/16"])
    assert guard.permits(host)
    assert not guard.permits("10.0.0.1")


def test_an_allowed_address_may_be_written_without_its_mask():
    assert AddressGuard(["10.0.0.7"]).permits("10.0.0.7")


def test_a_network_that_is_none_is_refused():
    with pytest.raises(ValueError, match="does not appear to be"):
        AddressGuard(["localhost"])


@implementer(IHostnameResolver)
class FakeResolver:
    def __init__(self, *hosts):
        self.hosts = hosts

    def resolveHostName(self, receiver, hostName, portNumber=0, addressTypes=None, transportSemantics="TCP"):
        receiver.resolutionBegan(self)
        for host in self.hosts:
            kind = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(kind("TCP", host, portNumber))
        receiver.resolutionComplete()


def connect(*hosts, uri=b"http://example.org/", allow=()):
    reactor = MemoryReactorClock()
    reactor.installNameResolver(FakeResolver(*hosts))
    endpoint = GuardedEndpoints(reactor, AddressGuard(allow)).endpointForURI(URI.fromBytes(uri))
    results = []
    endpoint.connect(Factory.forProtocol(Protocol)).addBoth(results.append)
    return reactor, results


def dialled(reactor):
    return [client[:2] for client in reactor.tcpClients]


def test_the_checked_address_itself_is_connected_to():
    reactor, _ = connect("8.8.8.8")
    assert dialled(reactor) == [("8.8.8.8", 80)]


def test_only_the_permitted_ones_of_several_addresses_are_tried():
    reactor, _ = connect("10.0.0.1", "8.8.8.8", "::1")
    reactor.advance(60)
    assert {host for host, _ in dialled(reactor)} == {"8.8.8.8"}


@pytest.mark.parametrize("uri", [b"http://example.org/", b"https://example.org/", b"http://0x7f000001/"])
def test_a_host_with_private_addresses_alone_is_refused(uri):
    reactor, results = connect("127.0.0.1", "::1", uri=uri)
    assert dialled(reactor) == []
    assert results[0].check(AddressRefused)
    assert "is at 127.0.0.1, ::1: " in str(results[0].value)
    assert "http_allow" in str(results[0].value)


def test_an_allowed_private_address_is_connected_to():
    reactor, _ = connect("127.0.0.1", allow=["127.0.0.0/8"], uri=b"http://localhost:8080/")
    assert dialled(reactor) == [("127.0.0.1", 8080)]


def test_a_host_that_does_not_exist_is_no_refusal():
    assert connect()[1][0].check(DNSLookupError)


def test_a_connection_that_fails_is_no_refusal():
    reactor, results = connect("10.0.0.1", "8.8.8.8")
    _, _, factory, _, _ = reactor.tcpClients[0]
    factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    reactor.advance(1)
    assert results[0].check(ConnectionRefusedError)


def test_other_schemes_are_refused():
    endpoints = GuardedEndpoints(MemoryReactorClock(), AddressGuard())
    with pytest.raises(SchemeNotSupported):
        endpoints.endpointForURI(URI.fromBytes(b"ftp://example.org/"))


def test_the_interfaces_are_kept():
    reactor = MemoryReactorClock()
    resolver = _GuardedResolver(FakeResolver(), AddressGuard())
    endpoints = GuardedEndpoints(reactor, AddressGuard())
    verifyObject(IAgentEndpointFactory, endpoints)
    verifyObject(IStreamClientEndpoint, endpoints.endpointForURI(URI.fromBytes(b"http://example.org/")))
    verifyObject(IHostnameResolver, resolver)
    verifyObject(IResolutionReceiver, _GuardedReceiver(resolver, AddressGuard(), []))
    verifyObject(IReactorPluggableNameResolver, _ReactorWithResolver(reactor, resolver))
