"""The doorbell: whoever adds jobs to the embedded queue wakes the children that wait for some, by a datagram.

Each child listens on a Unix socket of its own, in a folder beside the queue's file.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

RING = b"!"


def bells_of(queue_file: Path) -> Path:
    """The folder of the bells of the queue in `queue_file`."""
    return queue_file.with_name(queue_file.name + ".bells")


class Ringer:
    """Rings all bells of one queue.

    :param own: the name of the caller's own bell, which stays silent.
    """

    def __init__(self, bells: Path, own: str = "") -> None:
        self._bells = bells
        self._own = own
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ring(self) -> None:
        """Wake everyone who listens; a bell whose child is gone is taken down."""
        try:
            folder = os.open(self._bells, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            for name in os.listdir(folder):
                if name != self._own:
                    self._ring_one(folder, name)
        finally:
            os.close(folder)

    def _ring_one(self, folder: int, name: str) -> None:
        try:
            # The way by /proc is short: a socket's path may have 107 bytes, a state_dir's more.
            self._socket.sendto(RING, f"/proc/self/fd/{folder}/{name}")
        except BlockingIOError:
            return  # it has rung already
        except ConnectionRefusedError:
            _take_down(folder, name)
        except FileNotFoundError:
            return  # its child took it down just now

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def _take_down(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # another ringer was faster
