"""A real Redis for tests: on a free port of the loopback interface, in a folder of its own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PATIENCE = 30.0
SAFE = ("--appendonly", "yes", "--appendfsync", "always")


def need(program: str) -> None:
    """Skip the test where `program` is missing; in CI that is an error."""
    if shutil.which(program) is None:
        message = f"{program} is not installed (Debian: apt-get install redis-server redis-sentinel)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One redis-server, with everything written to disk before it is confirmed unless `options` say otherwise."""

    def __init__(self, folder: Path, *options: str, port: int | None = None, program: str = "redis-server") -> None:
        need(program)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._program = program
        self.options = options or SAFE

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def launch(self) -> None:
        """Start, without waiting for it."""
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        rest = ["--dir", str(self.folder), "--save", "", "--daemonize", "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self._program, *where, *rest, *self.options], stdout=log, stderr=log)

    def start(self) -> None:
        self.launch()
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "redis-server does not come up"
            time.sleep(0.02)

    def start_again(self) -> None:
        """As a service manager does, more than once: a Redis that was killed during its rewrite may refuse one start,
        and mend its file by that."""
        self.launch()
        while not self.answers():
            if self.process is not None and self.process.poll() is not None:
                self.start()

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return b"PONG" in self.say("PING")
        return False

    def say(self, *words: str) -> bytes:
        """One command, and the beginning of its reply."""
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (word.encode() for word in words))
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(b"*%d\r\n%s" % (len(words), parts))
            return connection.recv(65536)

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)


@functools.cache
def running_redis() -> RedisServer:
    """The one of this run; started by the first test that needs it."""
    folder = tempfile.TemporaryDirectory(prefix="snqd-redis-")
    server = RedisServer(Path(folder.name))
    server.start()
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server
