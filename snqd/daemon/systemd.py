"""SystemdNotices: keeps systemd informed of the daemon: ready, stopping, how it is, and that it makes progress."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from snqd.core.clocks import monotonic
from snqd.pipe.periodic import PeriodicCall

READY = "READY=1"
LOOK_EVERY = 1.0
"""Seconds; a WATCHDOG_USEC of twice that is the least that can be kept."""
STATUS_EVERY = 5.0
"""Seconds from one STATUS to the next, where it has changed."""
WATCHDOG_SHARE = 3
"""So many times within WATCHDOG_USEC the watchdog is told of progress."""


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


class Watched(Protocol):
    """The daemon that is spoken of."""

    @property
    def settled(self) -> bool:
        """Whether every group has come up, or is known to have failed."""

    @property
    def stopping(self) -> bool:
        """Whether it ends."""

    @property
    def progressing(self) -> bool:
        """Whether every child that lives gives signs of life, or is being ended."""

    def summary(self) -> str:
        """One line for people."""


class SystemdNotices(Service):
    """Looks at the daemon once a second, which it can only while the reactor turns, and tells what has changed."""

    def __init__(self, clock: IReactorTime, daemon: Watched, notify: SdNotify) -> None:
        self._clock = clock
        self._daemon = daemon
        self._notify = notify
        self._told = ""
        self._reloads = 0
        self._status = ""
        self._status_at = self._watchdog_at = float("-inf")
        self._look = PeriodicCall(clock, self.look)

    def startService(self) -> None:
        """Begin, if a manager listens."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._notify.manager.address:
            self._look.start(LOOK_EVERY)

    def stopService(self) -> None:
        """The daemon has ended; nothing is left untold, however fast that was."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._look.running:
            self.look()
            self._look.stop()

    def look(self) -> None:
        """Tell what has changed."""
        self._tell_state()
        self._tell_status()
        self._tell_watchdog()

    def reloading(self) -> None:
        """The configuration is being read anew; :meth:`reloaded` follows."""
        self._reloads += 1
        if self._told == READY:
            # systemd orders what it hears by its own clock.
            self._tell_once("RELOADING=1", f"MONOTONIC_USEC={_monotonic_usec()}")

    def reloaded(self) -> None:
        """It has been read, or refused."""
        self._reloads -= 1
        self._tell_state()

    def _tell_state(self) -> None:
        if self._daemon.stopping:
            self._tell_once("STOPPING=1")
        elif self._daemon.settled and not self._reloads:
            self._tell_once(READY)

    def _tell_once(self, state: str, *more: str) -> None:
        if state != self._told:
            self._told = state
            self._notify.tell(state, *more)

    def _tell_status(self) -> None:
        now = self._clock.seconds()
        if now - self._status_at >= STATUS_EVERY and (status := self._daemon.summary()) != self._status:
            self._status, self._status_at = status, now
            self._notify.tell(f"STATUS={status}")

    def _tell_watchdog(self) -> None:
        interval = self._notify.manager.watchdog / WATCHDOG_SHARE
        now = self._clock.seconds()
        if interval and now - self._watchdog_at >= interval and self._daemon.progressing:
            self._watchdog_at = now
            self._notify.tell("WATCHDOG=1")


def _monotonic_usec() -> int:
    return int(monotonic() * 1e6)
