"""What the benchmarks' jobs do in snqd; peers do the same."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from benchmarks.sheet import SERVICE, Sheet
from snqd.handlers import QueueHandler


class _Noted(QueueHandler):
    """Notes what it did on the sheet in the folder `sheet`."""

    def start(self) -> None:
        """Open it."""
        self._sheet = Sheet(Path(self.options["sheet"]))


class Noop(_Noted):
    """Nothing: what is left is the daemon's own cost."""

    def handle(self, job: Any) -> None:
        """Done."""
        self._sheet.tally()


class Wait(_Noted):
    """Waits for `payload` seconds, as a job that talks to a server does."""

    def handle(self, job: Any) -> Deferred[None]:
        """Fires after a while."""
        return task.deferLater(reactor, job.payload, self._sheet.tally)


class Stamp(_Noted):
    """Notes how long the job has waited; where the payload is null it is one of a flood, and takes its time."""

    def handle(self, job: Any) -> Deferred[None] | None:
        """Fires when it is done."""
        if job.payload is None:
            return task.deferLater(reactor, SERVICE, self._sheet.tally)
        self._sheet.stamp(job.payload)
        return None


class Serve(QueueHandler):
    """Waits for 5 ms and appends when it started, for whom, and for how long it ran, to the file `to`."""

    def start(self) -> None:
        """Open the file."""
        self._file = os.open(self.options["to"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def handle(self, job: Any) -> Deferred[None]:
        """Fires when the line is written."""
        started = time.monotonic()

        def write() -> None:
            os.write(self._file, f"{job.site.nickname} {started:.6f} {time.monotonic() - started:.6f}\n".encode())

        return task.deferLater(reactor, SERVICE, write)


class Kill(QueueHandler):
    """Kills its process."""

    def handle(self, job: Any) -> None:
        """Does not return."""
        os.kill(os.getpid(), signal.SIGKILL)
