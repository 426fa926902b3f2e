"""A child's own bell on the embedded queue's doorbell; see :mod:`snqd.stores.doorbell`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer


@implementer(IReadDescriptor)
class Bell:
    """A bell that its process listens to.

    :param heard: called in the reactor's thread after one or more rings.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFDSet, bells: Path, name: str, heard: Callable[[], Any]) -> None:
        self._reactor = reactor
        self._bells = bells
        self._name = name
        self._heard = heard
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def start(self) -> None:
        """Hang the bell and listen."""
        self._bells.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(self._bells, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{self._name}")
        finally:
            os.close(folder)
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Take the bell down."""
        self._reactor.removeReader(self)
        self._socket.close()
        (self._bells / self._name).unlink(missing_ok=True)

    def fileno(self) -> int:
        """The socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """The bell's name in the reactor's own messages."""
        return f"doorbell {self._name}"

    def doRead(self) -> None:
        """Called by the reactor when somebody has rung."""
        try:
            while self._socket.recv(1):
                pass
        except BlockingIOError:
            self._heard()

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it gives up on the socket."""
        self.log.warn("the doorbell {name} broke: {reason}", name=self._name, reason=reason)
