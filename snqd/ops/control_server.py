"""The control socket, from inside: takes requests (:mod:`snqd.ops.control`) and answers each with one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from snqd.core.errors import SnqdError
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.ops.control import MAX_REQUEST_BYTES
from snqd.pipe.commands import Wake

Command = Callable[[Mapping[str, Any]], Any]
"""Takes the request, gives the answer as a dict or a Deferred of one; a SnqdError's text goes to who asked."""
MAX_PATH_BYTES = 107


class ControlSocketUnusable(SnqdError):
    """The control socket can't be made."""


def daemon_commands(daemon: QueueDaemon) -> dict[str, Command]:
    """What a QueueDaemon can be asked.

    `ping`, `status`, `log-level` (of a `namespace`, from a `level` on), `wake` (all children look for work) and `stop`.
    """

    def wake(request: Mapping[str, Any]) -> dict[str, Any]:
        daemon.tell_children(Wake)
        return {"woken": True}

    def stop(request: Mapping[str, Any]) -> dict[str, Any]:
        daemon.shut_down("the control socket was told to stop")
        return {"stopping": True}

    def log_level(request: Mapping[str, Any]) -> dict[str, Any]:
        namespace, level = str(request.get("namespace", "")), str(request.get("level"))
        daemon.set_log_level(namespace, level)
        return {"namespace": namespace, "level": level}

    return {
        "ping": lambda request: {"pong": True},
        "status": lambda request: daemon.status(),
        "log-level": log_level,
        "wake": wake,
        "stop": stop,
    }


class ControlProtocol(LineOnlyReceiver):
    """One client; requests are answered in the order in which their work is done."""

    log = Logger()
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST_BYTES

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def lineReceived(self, line: bytes) -> None:
        """Do what is asked, and answer."""
        maybeDeferred(self._answer, line).addErrback(self._error).addCallback(self._send)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse it, and the client with it."""
        self._send({"error": f"a request has at most {MAX_REQUEST_BYTES} bytes"})
        self.transport.loseConnection()  # type: ignore[union-attr]

    def _answer(self, line: bytes) -> Any:
        try:
            request = json.loads(line)
            command = request["command"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise SnqdError('a request is one line of JSON: {"command": NAME, ...}') from None
        if not isinstance(command, str) or command not in self._commands:
            raise SnqdError(f"no command {repr(command)[:80]}: there are {', '.join(sorted(self._commands))}")
        return self._commands[command](request)

    def _error(self, failure: Failure) -> dict[str, Any]:
        if failure.check(SnqdError) is None:
            self.log.failure("a control request failed", failure)
        return {"error": failure.getErrorMessage()}

    def _send(self, answer: Mapping[str, Any]) -> None:
        # Twisted drops what is written to a client that has left meanwhile.
        self.transport.write(json.dumps(answer).encode() + b"\n")  # type: ignore[union-attr]


class ControlServer(Service):
    """Listens on a Unix socket that only this user may open; one that a killed daemon left behind is replaced.

    :param path: where; the caller holds the daemon's lock, so that no living daemon's socket is replaced.
    """

    def __init__(self, reactor: Any, path: Path, commands: Mapping[str, Command]) -> None:
        self._reactor = reactor
        self._path = path
        self._factory = ServerFactory()
        self._factory.noisy = False
        self._factory.buildProtocol = lambda address: ControlProtocol(commands)  # type: ignore[method-assign,assignment]
        self._port: Any = None

    def startService(self) -> None:
        """Listen.

        :raises ControlSocketUnusable: saying why.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if len(os.fsencode(self._path)) > MAX_PATH_BYTES:
            raise self._unusable(f"its path has more than {MAX_PATH_BYTES} bytes")
        try:
            if self._path.is_socket():
                self._path.unlink()
            self._port = self._reactor.listenUNIX(str(self._path), self._factory, mode=0o600)
        except (OSError, CannotListenError) as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> ControlSocketUnusable:
        return ControlSocketUnusable(
            f"the control socket {self._path} can't be made ({reason}): correct [snqd] control"
        )

    def stopService(self) -> Deferred[Any] | None:
        """Listen no more; Twisted removes the socket."""
        super().stopService()  # type: ignore[no-untyped-call]
        return None if self._port is None else self._port.stopListening()
