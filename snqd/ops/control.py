"""The control socket, from outside: how snqctl and others ask the daemon that runs on this host.

One JSON object a line each way, over a Unix socket that only the daemon's user may open. A request is
``{"command": NAME, ...}``; an answer that has ``error`` says why the request was refused.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from snqd.core.errors import DaemonNotRunning, SnqdError

MAX_REQUEST_BYTES = 1024 * 1024


class ControlFailed(SnqdError):
    """The daemon refused the request, or did not answer."""


def call(path: Path, command: str, timeout: float | None = 10.0, **arguments: Any) -> dict[str, Any]:
    """Send one request and wait for its answer; blocks.

    :param path: the control socket, ``[snqd] control``.
    :param timeout: seconds for each step of it; None waits as long as it takes.
    :raises DaemonNotRunning: if nobody listens there.
    :raises ControlFailed: if the daemon answers with an error, or not at all.
    """
    request = json.dumps({**arguments, "command": command}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        _connect(connection, path)
        try:
            connection.sendall(request)
            answer = _read_line(connection)
        except OSError as error:
            raise ControlFailed(f"the daemon at {path} did not answer {command}: {error}") from error
    return _checked(path, command, answer)


def _connect(connection: socket.socket, path: Path) -> None:
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonNotRunning(
            f"no daemon answers at {path}: start it (if one runs, it began with another [snqd] control or state_dir: "
            "send it SIGHUP to update, SIGTERM to stop)"
        ) from error
    except OSError as error:
        raise ControlFailed(f"the control socket {path} can't be used: {error}") from error


def _read_line(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65_536):
        pieces.append(piece)
        if piece.endswith(b"\n"):
            break
    return b"".join(pieces)


def _checked(path: Path, command: str, answer: bytes) -> dict[str, Any]:
    if not answer.endswith(b"\n"):
        raise ControlFailed(f"the daemon at {path} ended before it answered {command}")
    document: dict[str, Any] = json.loads(answer)
    if "error" in document:
        raise ControlFailed(f"the daemon refused {command}: {document['error']}")
    return document
