"""A child process that runs child.py: what it says, and how it ends."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol

from tests.patience import in_time


class Child(ProcessProtocol):
    """A child process that runs child.py: its lines, and its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.errors = ""
        self._rest = b""
        self._waiting: list[Deferred[None]] = []
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [line.decode() for line in lines]
        self._tell()

    def errReceived(self, data: bytes) -> None:
        self.errors += data.decode(errors="replace")

    def processEnded(self, reason: Any) -> None:
        assert reason.check(ProcessDone, ProcessTerminated)
        self.ended.callback(-reason.value.signal if reason.value.signal else reason.value.exitCode)
        self._tell()

    def say(self, line: str) -> None:
        self.transport.write(line.encode() + b"\n")

    def signal(self, number: int) -> None:
        os.kill(self.transport.pid, number)

    async def line(self, number: int) -> str:
        """The child's line of that number, from 0, once it is there."""
        while len(self.lines) <= number:
            assert not self.ended.called, f"the child ended: {self.errors}"
            done: Deferred[None] = Deferred()
            self._waiting.append(done)
            await in_time(done)
        return self.lines[number]

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)
