"""How an operator names a broker."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from snqd.stomp.endpoints import RotatingEndpoint, make_endpoint
from snqd.stomp.errors import ProtocolError

HOSTS = [
    ("localhost", "localhost", 61613),
    ("broker.example:1234", "broker.example", 1234),
    ("tcp://broker.example", "broker.example", 61613),
    ("stomp://broker.example:5/", "broker.example", 5),
    ("[::1]:5", "::1", 5),
]


@pytest.mark.parametrize(("text", "host", "port"), HOSTS)
def test_a_host_and_port(text: str, host: str, port: int) -> None:
    endpoint: Any = make_endpoint(MemoryReactorClock(), text)
    assert isinstance(endpoint, HostnameEndpoint)
    assert (endpoint._hostText, endpoint._port) == (host, port)


@pytest.mark.parametrize("text", ["stomp+ssl://broker.example", "ssl://broker.example:61614"])
def test_tls_has_a_port_of_its_own(text: str) -> None:
    endpoint: Any = make_endpoint(MemoryReactorClock(), text)
    assert (endpoint._wrappedEndpoint._hostText, endpoint._wrappedEndpoint._port) == ("broker.example", 61614)


def test_endpoint_strings_of_twisted() -> None:
    assert isinstance(make_endpoint(MemoryReactorClock(), "unix:/run/stomp.sock"), UNIXClientEndpoint)
    assert isinstance(make_endpoint(MemoryReactorClock(), "tcp:broker:5"), TCP4ClientEndpoint)


@pytest.mark.parametrize(
    "text", ["http://broker", "tcp://", "tcp://a:x", "tcp://a:0", "tcp://me:pw@a", "what:ever", ""]
)
def test_what_is_no_broker_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="is no broker"):
        make_endpoint(MemoryReactorClock(), text)


def test_of_several_each_attempt_takes_the_next() -> None:
    tried: list[int] = []

    class Endpoint:
        def __init__(self, number: int) -> None:
            self.number = number

        def connect(self, factory: Any) -> Any:
            tried.append(self.number)
            return succeed(None)

    several = RotatingEndpoint([Endpoint(1), Endpoint(2)])  # type: ignore[list-item]
    for _ in range(3):
        several.connect(Factory())
    assert tried == [1, 2, 1]
