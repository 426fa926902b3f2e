"""What a service tells systemd: sd_notify(3) over the datagram socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.logger import Logger

Send = Callable[[bytes, str], Any]
"""Sends one datagram to an address of a Unix socket, and never waits."""


def send_datagram(data: bytes, address: str) -> None:
    """Send one datagram.

    :raises OSError: where nobody takes it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        out.sendto(data, address)


@attrs.frozen
class Manager:
    """What the environment says of the service manager.

    :ivar address: of its socket, as the kernel takes it; empty without one.
    :ivar watchdog: seconds within which it wants to hear of us, 0 if it does not.
    """

    address: str = ""
    watchdog: float = 0.0


def manager_of(environment: Mapping[str, str], pid: int) -> Manager:
    """Who started this process, as NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say it.

    :param pid: this process's: the watchdog may be meant for another.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return Manager()
    usec = environment.get("WATCHDOG_USEC", "")
    ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
    return Manager(
        # An abstract address begins with NUL where systemd writes @.
        address="\0" + address[1:] if address.startswith("@") else address,
        watchdog=int(usec) / 1e6 if ours and usec.isdecimal() else 0.0,
    )


class SdNotify:
    """Says it; where nobody listens, it is said once in the log."""

    log = Logger()

    def __init__(self, manager: Manager, send: Send = send_datagram) -> None:
        self._send = send
        self._complained = False
        self.manager = manager

    def tell(self, *states: str) -> None:
        """Send states such as ``READY=1``, all in one datagram."""
        if not self.manager.address:
            return
        try:
            self._send("\n".join(states).encode(), self.manager.address)
            self._complained = False
        except OSError as error:
            if not self._complained:
                self._complained = True
                self.log.warn("systemd takes no message at NOTIFY_SOCKET: {error}", error=error)
