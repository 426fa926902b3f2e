"""A database server for tests: a process of ours on a free loopback port, in a temporary folder."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0


def need(program: str | None, package: str) -> str:
    """The program's path; skips the test where it is missing, which is an error in CI."""
    if program is not None:
        return program
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: apt-get install {package}")
    pytest.skip(f"not installed here: apt-get install {package}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DatabaseServer:
    """What the two kinds have in common.

    :cvar user: who runs the server where the tests run as root.
    """

    kind = ""
    user = ""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"snqd-{self.kind}-"))
        self._as = {"user": self.user, "group": self.user, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = 0
        atexit.register(self.discard)

    def make(self) -> None:
        """Make the data folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """What starts the server."""
        raise NotImplementedError

    def say(self, statement: str, database: str = "") -> list[tuple[Any, ...]]:
        """Carry a statement out; its rows."""
        raise NotImplementedError

    def url(self, database: str) -> str:
        """Its URL."""
        raise NotImplementedError

    def database(self) -> str:
        """A new database's name."""
        self._numbers += 1
        name = f"snqd_{self._numbers}"
        self.say(f"CREATE DATABASE {name}")
        return name

    def launch(self, *more: str) -> None:
        """Start, without waiting for it."""
        with (self.folder / "log").open("ab") as log:
            command = [*self.command(), *more]
            self.process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **self._as)

    def start(self, *more: str) -> None:
        """Start, and wait until it answers.

        :param more: options for this time.
        """
        self.launch(*more)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash does: the server and all its processes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As its operator does, without waiting for clients."""
        self._end(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def discard(self) -> None:
        """Stop it, and remove all that it has."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> None:
        ran = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **self._as)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def _answers(self) -> bool:
        try:
            self.say("SELECT 1")
        except Exception:
            return False
        return True

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
