"""What the benchmarks' jobs do."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from snqd.handlers import QueueHandler


class Noop(QueueHandler):
    """Nothing: what is left is the daemon's own cost."""

    def handle(self, job: Any) -> None:
        """Done."""


class Wait(QueueHandler):
    """Waits for `payload` seconds, as a job that talks to a server does."""

    def handle(self, job: Any) -> Deferred[None]:
        """Fires after a while."""
        return task.deferLater(reactor, job.payload)


class Stamp(QueueHandler):
    """Appends how many seconds ago the job was sent (`payload`, by the machine's monotonic clock) to the file `to`."""

    def start(self) -> None:
        """Open the file."""
        self._file = os.open(self.options["to"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def handle(self, job: Any) -> None:
        """Write one line, whole."""
        os.write(self._file, f"{job.site.nickname} {time.monotonic() - job.payload:.6f}\n".encode())


class Serve(Stamp):
    """Waits for 5 ms and appends when it started, for whom, and for how long it ran."""

    def handle(self, job: Any) -> Deferred[None]:
        """Fires when the line is written."""
        started = time.monotonic()

        def write(_: None) -> None:
            os.write(self._file, f"{job.site.nickname} {started:.6f} {time.monotonic() - started:.6f}\n".encode())

        return task.deferLater(reactor, 0.005).addCallback(write)


class Kill(QueueHandler):
    """Kills its process."""

    def handle(self, job: Any) -> None:
        """Does not return."""
        os.kill(os.getpid(), signal.SIGKILL)
