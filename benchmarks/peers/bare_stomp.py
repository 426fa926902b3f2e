"""A socket that speaks just enough STOMP 1.2 to take messages, 500 in flight, and acknowledge each."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from benchmarks.peers import work

AT_ONCE = 500
ID = b"\nack:"


def connect() -> socket.socket:
    """A session."""
    url = urlsplit(work.URL)
    connection = socket.create_connection((url.hostname, url.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = f"CONNECT\naccept-version:1.2\nhost:/\nlogin:{url.username or ''}\npasscode:{url.password or ''}\n\n\0"
    connection.sendall(login.encode())
    _read_to(connection, b"CONNECTED")
    return connection


def fill(task: str, argument: object, number: int) -> None:
    """Persistent messages; each five hundred are confirmed before the next are sent."""
    connection = connect()
    head = f"SEND\ndestination:/queue/{work.NAME}\npersistent:true\n"
    for sent in range(0, number, AT_ONCE):
        last = min(AT_ONCE, number - sent)
        connection.sendall(f"{head}\nnull\0".encode() * (last - 1) + f"{head}receipt:r{sent}\n\nnull\0".encode())
        _read_to(connection, f"receipt-id:r{sent}\n".encode())


def drain(connection: socket.socket) -> None:
    """Until it is killed."""
    prefetch = f"prefetch-count:{AT_ONCE}\nactivemq.prefetchSize:{AT_ONCE}\n"
    subscribe = f"SUBSCRIBE\nid:0\ndestination:/queue/{work.NAME}\nack:client-individual\n{prefetch}\n\0"
    connection.sendall(subscribe.encode())
    left = b""
    while chunk := connection.recv(65536):
        *frames, left = (left + chunk).split(b"\0")
        acks = []
        for frame in frames:
            begin = frame.index(ID) + len(ID)
            work.noop()
            acks.append(b"ACK\nid:%s\n\n\0" % frame[begin : frame.index(b"\n", begin)])
        connection.sendall(b"".join(acks))


def _read_to(connection: socket.socket, words: bytes) -> None:
    read = b""
    while words not in read:
        chunk = connection.recv(65536)
        if not chunk or b"ERROR" in chunk:
            raise OSError(f"the broker said {read + chunk!r}")
        read += chunk


if __name__ == "__main__":
    drain(connect())
