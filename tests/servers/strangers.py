"""Servers that are no brokers, on loopback: what somebody finds who has mistaken the port."""

from __future__ import annotations

import contextlib
import socket
import threading

HTTP = "speaks HTTP"
CLOSING = "closes at once"
SILENT = "never answers"
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Stranger:
    """Accepts connections, from a thread, and behaves as its kind does.

    :param kind: HTTP, CLOSING or SILENT.
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
            if self.kind == SILENT:
                self._kept.append(visitor)
                continue
            with contextlib.suppress(OSError), visitor:
                if self.kind == HTTP:
                    visitor.recv(65536)
                    visitor.sendall(_REFUSAL)
