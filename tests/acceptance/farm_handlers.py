"""Handlers of the acceptance tests' farms: each leaves its marks in the journal that `journal.py` reads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from snqd.handlers import QueueHandler, Reject, RetryLater


def mark(job: Any, kind: str) -> None:
    """Append one short line at once, which no kill can tear and no other process's line can mix with."""
    line = f"{kind} {job.id} {job.site.nickname} {job.queue} {job.attempt} {os.getpid()} {time.monotonic():.6f}\n"
    fd = os.open(job.site.config("farm", "journal"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


class Note(QueueHandler):
    """Works for `payload["seconds"]`, 0 without a payload."""

    async def handle(self, job: Any) -> None:
        mark(job, "start")
        await deferLater(self.reactor, (job.payload or {}).get("seconds", 0))
        mark(job, "end")


class Later(QueueHandler):
    """Fails with `payload["delay"]` until attempt number `payload["good"]`."""

    def handle(self, job: Any) -> None:
        mark(job, "start")
        if job.attempt < job.payload["good"]:
            raise RetryLater(job.payload["delay"], "the mirror is busy")
        mark(job, "end")


class Picky(QueueHandler):
    """Rejects everything while the file `payload["unless"]` does not exist."""

    def handle(self, job: Any) -> None:
        mark(job, "start")
        if not Path(job.payload["unless"]).exists():
            raise Reject("no such image")
        mark(job, "end")


class Killer(QueueHandler):
    """Kills its process after `payload["seconds"]`."""

    async def handle(self, job: Any) -> None:
        mark(job, "start")
        await deferLater(self.reactor, job.payload["seconds"])
        os.kill(os.getpid(), signal.SIGKILL)


class Chain(QueueHandler):
    """Enqueues `payload["notes"]` follow-up jobs on the queue note, then does as the payload says."""

    def handle(self, job: Any) -> None:
        mark(job, "start")
        for _ in range(job.payload["notes"]):
            job.enqueue("note", None)
        if job.payload.get("reject"):
            raise Reject("and no follow-ups")
        mark(job, "end")
