"""TinyDaemon: starts a real daemon with tiny children in a folder of its own, and looks at what it does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from waiting import wait_until

from snqd.core.errors import SnqdError
from snqd.ops.control import call

T = TypeVar("T")
HERE = Path(__file__).parent
PATIENCE = 30.0
"""Seconds, on a quiet machine."""


class TinyDaemon:
    """One daemon.

    :param tiny: keys of ``[app:tiny]``.
    :param keys: keys of ``[snqd]``.
    """

    def __init__(self, folder: Path, tiny: dict[str, str], keys: dict[str, str]) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.config = folder / "snq.ini"
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        snqd = {"id": "t", "threads": "2", "drain_timeout": "5", "respawn_max_delay": "1", **keys}
        sections = {"snqd": snqd, "queue": {"spawndelay": "0.2"}, "app:tiny": tiny}
        self.config.write_text(
            "".join(
                f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in section.items())
                for name, section in sections.items()
            )
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """twistd -n, its log in a file."""
        root = HERE.parents[2]
        path = os.pathsep.join([str(root), str(HERE), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "TINY_INI": str(self.config), "PYTHONPATH": path}
        arguments = arguments or ("-y", str(HERE / "tiny.tac"))
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [_twistd(), "-n", f"--pidfile={self.folder}/pid{len(self.processes)}", *arguments],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def status(self) -> dict[str, Any]:
        """The answer to `status`, {} while nobody answers."""
        with contextlib.suppress(SnqdError):
            return call(self.state_dir / "control.sock", "status")
        return {}

    def children(self) -> list[dict[str, Any]]:
        """Group main's, as status tells."""
        status = self.status()
        return status["groups"][0]["children"] if status else []

    def ready(self, count: int = 2) -> list[dict[str, Any]]:
        """The children, once `count` normal ones are up."""

        def up() -> list[dict[str, Any]]:
            listening = [child for child in self.children() if child["n"] and child["state"] in ("listening", "queue")]
            return listening if len(listening) == count else []

        return self.wait_for(up, f"{count} children up")

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text() if self.log.exists() else ""

    def logged(self, text: str) -> str:
        """The log, once it contains `text`."""
        return self.wait_for(lambda: self.text() if text in self.text() else "", f"{text!r} in the log")

    def trace(self) -> list[list[str]]:
        """What the children did: id, pid, verb, details."""
        path = self.state_dir / "trace"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def traced(self, verb: str, pid: int | None = None, count: int = 1) -> list[list[str]]:
        """The `count` traces of `verb` (by process `pid`), once they are there."""

        def seen() -> list[list[str]]:
            found = [each for each in self.trace() if each[2] == verb and pid in (None, int(each[1]))]
            return found if len(found) >= count else []

        return self.wait_for(seen, f"{count} traces of {verb!r}")

    def wait_for(self, condition: Callable[[], T], what: str) -> T:
        """What `condition` gives once that is true."""
        try:
            return wait_until(condition, PATIENCE, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from error

    def exit_code(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of a process of this daemon's, once it has ended."""
        self.wait_for(lambda: process.poll() is not None, f"the end of process {process.pid}")
        return process.wait()

    def gone(self, pid: int) -> None:
        """Wait until a process is no more (or a zombie, whose parent is yet to notice)."""
        self.wait_for(lambda: _is_gone(pid), f"the end of process {pid}")

    def kill_all(self) -> None:
        """Whatever is left of all the processes that were started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_gone(pid: int) -> bool:
    """Whether a process is no more (or a zombie, whose parent is yet to notice)."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def _twistd() -> str:
    return str(Path(sys.executable).with_name("twistd"))


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[Callable[..., TinyDaemon]]:
    """Makes a TinyDaemon; no process of it is left at the end."""
    made: list[TinyDaemon] = []

    def make(tiny: dict[str, str] | None = None, **keys: str) -> TinyDaemon:
        made.append(TinyDaemon(tmp_path, tiny or {}, keys))
        return made[-1]

    yield make
    for daemon in made:
        daemon.kill_all()


@pytest.fixture
def daemon(make_daemon: Callable[..., TinyDaemon]) -> TinyDaemon:
    """One with two children and no peculiarities."""
    return make_daemon()
