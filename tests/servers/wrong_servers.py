"""Servers that are no brokers, on loopback: what somebody finds who has mistaken the port."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

HTTP = "speaks HTTP"
CLOSING = "closes at once"
SILENT = "never answers"
DRIPPING = "sends line feeds for ever"
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class WrongServer:
    """Accepts connections, from a thread, and behaves as its kind does.

    :param kind: HTTP, CLOSING, SILENT or DRIPPING.
    :ivar visits: how often somebody has connected.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.visits = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._kept: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and drop all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for each in self._kept:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            if self.kind in (SILENT, DRIPPING):
                self._kept.append(visitor)
                if self.kind == DRIPPING:
                    threading.Thread(target=_drip, args=(visitor,), daemon=True).start()
                continue
            with contextlib.suppress(OSError), visitor:
                if self.kind == HTTP:
                    visitor.recv(65536)
                    visitor.sendall(_REFUSAL)


def _drip(visitor: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            visitor.sendall(b"\n")
            time.sleep(0.1)
