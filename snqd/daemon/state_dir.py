"""The folder of one daemon, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from snqd.core.errors import AlreadyRunning, SnqdError
from snqd.pipe.crash_ledger import LEDGERS

LOCK = "daemon.lock"


class StateDirUnusable(SnqdError):
    """The state_dir can't be used."""


def prepare(state_dir: Path) -> None:
    """Make `state_dir` and what the daemon needs in it, for its user alone.

    :raises StateDirUnusable: saying why.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (state_dir / LEDGERS).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    if not os.access(state_dir, os.W_OK | os.X_OK):
        raise StateDirUnusable(f"state_dir {state_dir} is not writable: correct its owner, or [snqd] state_dir")


class DaemonLock:
    """Held while a daemon works on its state_dir; the kernel frees it with the process, so no stale one stays."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._path = state_dir / LOCK
        self._fd: int | None = None

    def check(self) -> None:
        """Whether it could be had: takes it and lets it go.

        :raises AlreadyRunning: naming the other daemon's pid and the state_dir.
        """
        self.take()
        self.release()

    def take(self) -> None:
        """Hold it until `release`.

        :raises AlreadyRunning: naming the other daemon's pid and the state_dir.
        :raises StateDirUnusable: where the file can't be written.
        """
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            pid = self._path.read_text().strip() or "unknown"
            self.release()
            raise AlreadyRunning(
                f"another daemon (pid {pid}) works on state_dir {self._state_dir}: stop it first, "
                "or give this one a state_dir of its own"
            ) from None
        except OSError as error:
            self.release()
            raise _unusable(self._path, error) from error

    def release(self) -> None:
        """Let it go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _unusable(path: Path, error: OSError) -> StateDirUnusable:
    return StateDirUnusable(f"{path} can't be used ({error.strerror}): make room or correct [snqd] state_dir")
