"""A TCP proxy that cuts its connections after random numbers of bytes: within frames, and in either direction."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from random import Random

import attrs
import psutil

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER's value for a close that throws away what is unsent."""


@attrs.frozen
class Cut:
    """A connection that was cut.

    :ivar pid: the process whose connection it was, 0 if that was gone.
    :ivar at: when, as `time.monotonic()` tells.
    """

    pid: int
    at: float


class CuttingProxy:
    """Forwards to a port of loopback, from threads.

    :param shortest: bytes after which a connection is cut at the earliest.
    :param longest: and at the latest; spread evenly over the powers between.
    :param port: where to listen; any free one by default.
    :ivar cutting: whether connections that are made now will be cut.
    :ivar cuts: those that were.
    """

    def __init__(
        self, target: int, random: Random, shortest: int = 2_000, longest: int = 2_000_000, port: int = 0
    ) -> None:
        self._target = target
        self._random = random
        self._shortest = shortest
        self._longest = longest
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: set[_Link] = set()
        self.port: int = self._listener.getsockname()[1]
        self.cutting = False
        self.cuts: list[Cut] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more, and drop all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._open):
            link.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, (_, port) = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nobody is there: neither is a proxy of nobody
                near.close()
                continue
            link = _Link(self, near, far, _pid_of(port))
            self._open.add(link)
            threading.Thread(target=link.run, args=(self._allowance(), self._allowance()), daemon=True).start()

    def _allowance(self) -> float:
        """How many bytes go one way before the cut."""
        if not self.cutting:
            return float("inf")
        return round(self._shortest * (self._longest / self._shortest) ** self._random.random())


class _Link:
    """Both halves of a forwarded connection."""

    def __init__(self, proxy: CuttingProxy, near: socket.socket, far: socket.socket, pid: int) -> None:
        self._proxy = proxy
        self._sockets = (near, far)
        self._pid = pid

    def run(self, upwards: float, downwards: float) -> None:
        """Forward, and cut after so many bytes to the broker, or from it; returns at the connection's end."""
        near, far = self._sockets
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        down = threading.Thread(target=self._forward, args=(far, near, downwards), daemon=True)
        down.start()
        self._forward(near, far, upwards)
        down.join()
        near.close()
        far.close()

    def cut(self) -> None:
        """Let neither half go on."""
        self._proxy._open.discard(self)
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _forward(self, source: socket.socket, target: socket.socket, left: float) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(int(min(_CHUNK, left)))):
                target.sendall(data)
                left -= len(data)
        if left <= 0:
            self._proxy.cuts.append(Cut(self._pid, time.monotonic()))
        self.cut()


def _pid_of(port: int) -> int:
    """The process that has connected from this port of loopback."""
    for each in psutil.net_connections("tcp4"):
        if each.laddr.port == port and each.pid:
            return each.pid
    return 0
