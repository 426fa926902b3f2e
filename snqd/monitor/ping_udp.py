"""Sends pings as datagrams; the half of :mod:`snqd.monitor.ping` that knows UDP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

RESOLVE_AFTER = 3600.0
RETRY_AFTER = 60.0
MAX_WAITING = 100


class UdpOutlet:
    """One socket to a monitor, whose host is resolved at the first ping, and again after an hour.

    :param complain: called with what is wrong; nothing is raised.
    """

    def __init__(self, reactor: Any, host: str, port: int, complain: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._complain = complain
        self._waiting: deque[bytes] = deque()  # for the host's address
        self._socket: _Socket | None = None
        self._resolving = False
        self._resolve_at = 0.0
        self._closed = False

    def send(self, ping: bytes) -> bool:
        """Send `ping`, or keep it until there is a socket; False if too many are kept already."""
        if not self._resolving and self._reactor.seconds() >= self._resolve_at:
            self._resolve()
        if self._socket is not None:
            self._socket.write(ping)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(ping)
        else:
            return False
        return True

    def close(self) -> Deferred[None]:
        """Close the socket; fires when that is done."""
        self._closed = True
        self._waiting.clear()
        closing, self._socket = self._socket, None
        return maybeDeferred(closing.close) if closing is not None else maybeDeferred(lambda: None)

    def lost(self, lost: _Socket) -> None:
        """The reactor has closed the socket, as it does when the network reports anything but a refusal."""
        if lost is self._socket:
            self._socket = None
            self._resolve_at = self._reactor.seconds() + RETRY_AFTER
            self._complain("the socket was closed: the host or its network can't be reached")

    def _resolve(self) -> None:
        if isIPAddress(self._host) or isIPv6Address(self._host):
            self._resolved(self._host)
            return
        self._resolving = True
        self._reactor.nameResolver.resolveHostName(
            _FirstAddress(self._resolved), self._host, self._port, transportSemantics="UDP"
        )

    def _resolved(self, address: str | None) -> None:
        self._resolving = False
        if self._closed:
            return
        if address is None:
            self._complain("the host's name can't be resolved")
            self._resolve_at = self._reactor.seconds() + RETRY_AFTER
            return
        self._resolve_at = self._reactor.seconds() + RESOLVE_AFTER
        if self._socket is None or self._socket.address != address:
            self._open(address)

    def _open(self, address: str) -> None:
        before, self._socket = self._socket, None
        if before is not None:
            before.close()
        opened = _Socket(self, address, self._complain)
        try:
            opened.open(self._reactor, self._port)
        except (CannotListenError, OSError) as error:
            self._complain(f"no socket: {error}")
            self._resolve_at = self._reactor.seconds() + RETRY_AFTER
            return
        self._socket = opened
        while self._waiting:
            opened.write(self._waiting.popleft())


class _Socket(DatagramProtocol):
    """A socket connected to `address`, so that a refusal is heard of."""

    def __init__(self, outlet: UdpOutlet, address: str, complain: Callable[[str], None]) -> None:
        self.address = address
        self._outlet = outlet
        self._complain = complain
        self._listening: Any = None

    def open(self, reactor: Any, port: int) -> None:
        self._listening = reactor.listenUDP(0, self, interface="::" if isIPv6Address(self.address) else "")
        try:
            self._listening.connect(self.address, port)
        except OSError:
            self._listening.stopListening()
            raise

    def write(self, ping: bytes) -> None:
        try:
            self._listening.write(ping)
        except (OSError, MessageLengthError) as error:
            self._complain(str(error))

    def close(self) -> Any:
        return self._listening.stopListening()

    def connectionRefused(self) -> None:
        self._complain("nothing listens there")

    def stopProtocol(self) -> None:
        self._outlet.lost(self)


@implementer(IResolutionReceiver)
class _FirstAddress:
    """Calls `found` with the first address of a host, None if it has none."""

    def __init__(self, found: Callable[[str | None], None]) -> None:
        self._found = found
        self._first: str | None = None

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to remember: an answer that comes too late is ignored."""

    def addressResolved(self, address: IAddress) -> None:
        if self._first is None and isinstance(address, (IPv4Address, IPv6Address)):
            self._first = address.host

    def resolutionComplete(self) -> None:
        self._found(self._first)
