"""What brokers have in common: a process in a folder, on free loopback ports, killed and started as a test wants."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_TIMEOUT = 90.0


class Broker:
    """A broker that speaks STOMP.

    :ivar port: where it speaks STOMP, the same over restarts.
    """

    name = ""
    username = ""
    password = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """What this machine lacks, empty if nothing."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write the configuration."""
        raise NotImplementedError

    def command(self) -> tuple[list[str], dict[str, str]]:
        """What to run, and in which environment."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers to CONNECT."""
        if not (self.folder / "output.log").exists():
            self.prepare()
        argv, env = self.command()
        with (self.folder / "output.log").open("ab") as output:
            # A session of its own: it may have further processes, which end with it.
            self._process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(self.port, self.username, self.password):
            assert self._process.poll() is None, f"{self.name} ended: {self.output()}"
            assert time.monotonic() < deadline, f"{self.name} does not answer: {self.output()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def output(self) -> str:
        """The end of what it printed."""
        return (self.folder / "output.log").read_text(errors="replace")[-2000:]


@functools.cache
def running(kind: type[Broker]) -> Broker:
    """The one of its kind that this run of the tests shares, started by the first test that needs it."""
    assert not kind.missing(), f"{kind.name} needs {kind.missing()}"
    folder = tempfile.TemporaryDirectory(prefix=f"snqd-{kind.__name__.lower()}-")
    broker = kind(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(broker.kill)
    broker.start()
    return broker


def answers(port: int, username: str, password: str) -> bool:
    """Whether a broker on `port` lets us in."""
    who = f"login:{username}\npasscode:{password}\n" if username else ""
    login = f"CONNECT\naccept-version:1.2\nhost:/\n{who}\n\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(login.encode())
            return connection.recv(9) == b"CONNECTED"
    except OSError:
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def lacks(*commands: str) -> str:
    """The first of these commands or files that this machine does not have."""
    return next((each for each in commands if not (shutil.which(each) or Path(each).exists())), "")
