"""A queue daemon as StatusNet and GNU social 1.2x run it, and a web site that enqueues: as much of them as brokers see.

It reads as theirs does: frames end at a NUL whatever ``content-length`` says, header lines are split at the first
colon, a body that can't be unserialized or whose queue it has no handler for is dropped, and all is acknowledged.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import phpserialize

from tests.servers.broker import Broker

Encode = Callable[[bytes], bytes]


def same(body: bytes) -> bytes:
    """The body as StatusNet and GNU social up to 1.1 send it."""
    return body


@attrs.frozen
class Kind:
    """How one PHP program writes and reads bodies."""

    encode: Encode
    decode: Encode


STATUSNET = Kind(same, same)
GNUSOCIAL = Kind(base64.b64encode, base64.b64decode)


def php_text(value: Any) -> bytes:
    """What serialize() writes."""
    written: bytes = phpserialize.dumps(value)
    return written


def send(broker: Broker, destination: str, site: str, queue: str, value: Any, kind: Kind = STATUSNET) -> None:
    """Enqueue as a PHP site does: a bare frame in STOMP 1.0, without a receipt."""
    envelope = php_text({"site": site, "handler": queue, "payload": php_text(value)})
    frame = f"SEND\ncreated: 2026-11-24 02:47:29\npersistent: true\ndestination: {destination}\n\n".encode()
    with session(broker) as connection:
        connection.sendall(frame + kind.encode(envelope) + b"\0\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):  # until the broker has read it all and hangs up
            pass


def session(broker: Broker) -> socket.socket:
    """A connection that is logged in as PHP's client does it."""
    connection = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
    connection.sendall(f"CONNECT\nlogin: {broker.username}\npasscode: {broker.password}\n\n\0\n".encode())
    assert connection.recv(9) == b"CONNECTED"
    while b"\0" not in connection.recv(1):
        pass
    return connection


class PhpDaemon:
    """One process of a queue daemon, in a thread.

    :param destinations: what it subscribes to: its groups and breakouts.
    :param queues: those that it has handlers for.
    :ivar handled: queue and payload of what its handlers were given.
    :ivar dropped: bodies that it has acknowledged and thrown away.
    """

    def __init__(
        self, broker: Broker, destinations: Sequence[str], queues: Sequence[str], kind: Kind = STATUSNET
    ) -> None:
        self.handled: list[tuple[str, Any]] = []
        self.dropped: list[bytes] = []
        self._queues = queues
        self._kind = kind
        self._connection = session(broker)
        for destination in destinations:
            self._write(f"SUBSCRIBE\ndestination: {destination}\nack: client\nactivemq.prefetchSize: 1\n\n")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; what it has not acknowledged goes back to the broker."""
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._connection.close()

    def _work(self) -> None:
        for frame in self._frames():
            head, _, body = frame.lstrip(b"\n").partition(b"\n\n")
            command, *lines = head.decode().split("\n")
            assert command == "MESSAGE", frame
            headers = dict(line.split(":", 1) for line in lines)
            self._handle(body.strip())
            try:
                self._write(f"ACK\nmessage-id: {headers['message-id'].strip()}\n\n")
            except OSError:
                return  # stopped in between: the broker gives the message to another

    def _frames(self) -> Iterator[bytes]:
        data = b""
        while more := self._receive():
            data += more
            *frames, data = data.replace(b"\0\n", b"\0").split(b"\0")
            yield from frames

    def _receive(self) -> bytes:
        while True:
            try:
                return self._connection.recv(1024)
            except TimeoutError:
                continue
            except OSError:
                return b""

    def _handle(self, body: bytes) -> None:
        try:
            message = phpserialize.loads(self._kind.decode(body), decode_strings=True)
            queue, payload = message["handler"], message["payload"]
            item = _item(payload)
        except (ValueError, TypeError, KeyError):
            self.dropped.append(body)
            return
        if queue in self._queues:
            self.handled.append((queue, item))
        else:
            self.dropped.append(body)

    def _write(self, frame: str) -> None:
        self._connection.sendall(frame.encode() + b"\0\n")


def _item(payload: str) -> Any:
    if payload.isdecimal():  # a notice
        return int(payload)
    return payload if payload.startswith("<") else phpserialize.loads(payload.encode(), decode_strings=True)
