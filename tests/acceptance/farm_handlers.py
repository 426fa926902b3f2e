"""Handlers of the acceptance tests' farms: each leaves its marks in the journal that `journal.py` reads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.handlers import QueueHandler, Reject, RetryLater

log = Logger(__name__)

LOOK_EVERY = 0.02


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
        log.debug("noted")
        mark(job, "end")


class Until(QueueHandler):
    """Works until there is a file `payload["file"]`."""

    async def handle(self, job: Any) -> None:
        mark(job, "start")
        while not Path(job.payload["file"]).exists():
            await deferLater(self.reactor, LOOK_EVERY)
        mark(job, "end")


class Mixed(QueueHandler):
    """Does nothing without a payload, at once and without a mark; else it is as Note."""

    def handle(self, job: Any) -> Deferred[None] | None:
        return Deferred.fromCoroutine(self._work(job)) if job.payload else None

    async def _work(self, job: Any) -> None:
        mark(job, "start")
        await deferLater(self.reactor, job.payload["seconds"])
        mark(job, "end")


class Reader(QueueHandler):
    """Reads its payload, whatever that is."""

    def handle(self, job: Any) -> None:
        mark(job, "start")
        log.debug("read {kind}", kind=type(job.payload).__name__)
        mark(job, "end")


class Printer(QueueHandler):
    """Prints its payload, as a handler in the making does."""

    def handle(self, job: Any) -> None:
        print("printed", job.payload)  # noqa: T201


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


class Leaky(QueueHandler):
    """Works for `payload["seconds"]` and never lets go of `payload["megabytes"]`."""

    kept: ClassVar[list[bytes]] = []

    async def handle(self, job: Any) -> None:
        mark(job, "start")
        self.kept.append(b"x" * (job.payload["megabytes"] * 1024 * 1024))
        await deferLater(self.reactor, job.payload["seconds"])
        mark(job, "end")


class Stuck(QueueHandler):
    """Never ends, in the way that `payload["in"]` names; with a true `payload["once"]` only the first time."""

    def handle(self, job: Any) -> Any:
        mark(job, "start")
        if job.payload.get("once") and job.attempt > 1:
            mark(job, "end")
            return None
        return {"loop": self._loop, "call": lambda: time.sleep(1e6), "deferred": Deferred}[job.payload["in"]]()

    def _loop(self) -> None:
        while True:
            pass


class Blocks(QueueHandler):
    """Keeps its whole process from running for `payload["seconds"]`; done at once where `payload["file"]` exists."""

    def handle(self, job: Any) -> None:
        mark(job, "start")
        if not Path(job.payload["file"]).exists():
            Path(job.payload["file"]).touch()
            time.sleep(job.payload["seconds"])
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


class Opens(Note):
    """Needs the file `options["file"]` to start."""

    def start(self) -> None:
        Path(self.options["file"]).read_bytes()


class Listens(Note):
    """Needs the port `options["port"]` of the loopback for itself."""

    def start(self) -> None:
        self.reactor.listenTCP(int(self.options["port"]), Factory(), interface="127.0.0.1")
