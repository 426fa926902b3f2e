"""A TCP proxy that passes one request on and loses its answer with the connection; nobody is let in afterwards."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

_CHUNK = 65536


class LosingProxy:
    """Forwards to a port of loopback, from threads.

    :ivar port: where it listens.
    :ivar lost: bytes of the request whose answer is lost, None for none yet.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.lost: bytes | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._forward, args=(near, far), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(_CHUNK)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)
                    if ready is near and self.lost is not None and self.lost in data:
                        far.recv(_CHUNK)  # the server has done it
                        self.close()
                        return
