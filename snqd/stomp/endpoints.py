"""The forms in which an operator names a broker, and the Twisted endpoint that each is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from snqd.stomp.errors import ProtocolError

PLAIN_PORT = 61613
TLS_PORT = 61614
_HOST_AND_PORT = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.\-]+)(?::[0-9]{1,5})?")


def _plain(reactor: Any, host: str, port: int | None) -> IStreamClientEndpoint:
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, host, port or PLAIN_PORT)
    return endpoint


def _tls(reactor: Any, host: str, port: int | None) -> IStreamClientEndpoint:
    # The broker's certificate must be of its name and of an authority that the system trusts.
    endpoint: IStreamClientEndpoint = wrapClientTLS(
        optionsForClientTLS(host), HostnameEndpoint(reactor, host, port or TLS_PORT)
    )
    return endpoint


_SCHEMES: dict[str, Callable[[Any, str, int | None], IStreamClientEndpoint]] = {
    "tcp": _plain,
    "stomp": _plain,
    "ssl": _tls,
    "stomp+ssl": _tls,
}


def make_endpoint(reactor: Any, text: str) -> IStreamClientEndpoint:
    """The endpoint of a broker.

    :param text: ``host``, ``host:port``, ``tcp://host:port``, ``stomp://host:port``, ``ssl://host:port``,
        ``stomp+ssl://host:port`` or a Twisted client endpoint string such as ``unix:/run/stomp.sock`` or
        ``tls:broker.example:61614:trustRoots=/etc/ssl/farm``.
    :raises ProtocolError: if it is none of these.
    """
    if "://" in text:
        return _from_url(reactor, text)
    if _HOST_AND_PORT.fullmatch(text):
        return _from_url(reactor, f"tcp://{text}")
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, text)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ProtocolError(f"{text!a} is no broker: write host:port or tcp://host:port ({error})") from error
    return endpoint


def _from_url(reactor: Any, text: str) -> IStreamClientEndpoint:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ProtocolError(f"{text!a} is no broker: {error}") from error
    make = _SCHEMES.get(url.scheme)
    if make is None or not host or port == 0 or url.path not in ("", "/") or url.query or url.username:
        schemes = ", ".join(f"{scheme}://host:port" for scheme in _SCHEMES)
        raise ProtocolError(f"{text!a} is no broker: write host:port or one of {schemes}")
    return make(reactor, host, port)
