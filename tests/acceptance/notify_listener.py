"""What a daemon tells systemd."""

from __future__ import annotations

import socket


class Listener:
    """The manager's end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._heard: list[str] = []

    def heard(self, word: str) -> list[str]:
        """The messages so far that begin with `word`."""
        try:
            while True:
                self._heard.append(self._socket.recv(65536).decode())
        except BlockingIOError:
            return [message for message in self._heard if message.startswith(word)]

    def close(self) -> None:
        self._socket.close()
