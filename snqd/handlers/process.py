"""RunningCommand: one external process, from its payload on stdin to the way in which it ended."""

from __future__ import annotations

import os
import signal
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

KEPT_BYTES = 64 * 1024
TERM_TO_KILL = 5.0
"""Seconds that a cancelled command has to end by itself."""
PIPES_LINGER = 1.0
"""Seconds that the output of a process that has ended is read on where its descendants hold the pipes open."""


@attrs.frozen
class ProcessEnd:
    """How a command ended.

    :ivar code: its exit code, None if a signal killed it.
    :ivar signal: the number of that signal.
    :ivar stdout: the last `KEPT_BYTES` of it; the same with stderr.
    """

    code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes


class Tail:
    """The last `KEPT_BYTES` of a stream."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Keep the end of what was kept and `data`."""
        self._kept += data
        if len(self._kept) > 2 * KEPT_BYTES:
            del self._kept[:-KEPT_BYTES]

    def value(self) -> bytes:
        """What is kept."""
        return bytes(self._kept[-KEPT_BYTES:])


class RunningCommand(ProcessProtocol):
    """Feeds a process `stdin`, keeps the ends of its output, and can end it with its whole process group.

    A process that stops reading its input, or never starts to, is left to go on: what counts is how it ends. Its
    process group must bear its pid.

    :ivar ended: fires with the :class:`ProcessEnd`; to cancel it terminates the group.
    :ivar gone: fires once the process has ended, its pipes are let go, and no signal to its group is outstanding.
    """

    transport: IProcessTransport

    def __init__(self, clock: IReactorTime, stdin: bytes) -> None:
        self.ended: Deferred[ProcessEnd] = Deferred(lambda _: self.terminate())
        self.gone: Deferred[None] = Deferred()
        self._clock = clock
        self._stdin = stdin
        self._outputs = {1: Tail(), 2: Tail()}
        self._reported = False
        self._released = False
        self._kill_later: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._group: int = self.transport.pid
        self.transport.writeToChild(0, self._stdin)
        self.transport.closeChildFD(0)
        self._stdin = b""

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._outputs[childFD].add(data)

    def processExited(self, reason: Failure) -> None:
        self._linger = self._clock.callLater(PIPES_LINGER, self._let_go, reason)

    def processEnded(self, reason: Failure) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        if self._kill_later is not None and not self._signal(0):
            self._forget_kill()
        self._release(reason)

    def terminate(self) -> None:
        """Send the group SIGTERM, and SIGKILL to what is left of it `TERM_TO_KILL` seconds later.

        `ended` does not fire any more.
        """
        self._reported = True
        if self._signal(signal.SIGTERM):
            self._kill_later = self._clock.callLater(TERM_TO_KILL, self.kill)

    def kill(self) -> None:
        """Send the group SIGKILL."""
        self._forget_kill()
        self._signal(signal.SIGKILL)
        self._check_gone()

    def _let_go(self, reason: Failure) -> None:
        self.transport.loseConnection()
        self._release(reason)

    def _release(self, reason: Failure) -> None:
        if not self._reported:
            self._reported = True
            self._report(reason)
        self._released = True
        self._check_gone()

    def _report(self, reason: Failure) -> None:
        status: Any = reason.value
        if isinstance(status, (ProcessDone, ProcessTerminated)):
            output = self._outputs[1].value(), self._outputs[2].value()
            self.ended.callback(ProcessEnd(status.exitCode, status.signal, *output))
        else:
            self.ended.errback(reason)

    def _forget_kill(self) -> None:
        if self._kill_later is not None and self._kill_later.active():
            self._kill_later.cancel()
        self._kill_later = None

    def _check_gone(self) -> None:
        if self._released and self._kill_later is None and not self.gone.called:
            self.gone.callback(None)

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; whether there was anybody to send it to."""
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            return self._signal_leader(number)
        return True

    def _signal_leader(self, number: int) -> bool:
        # A process that has only just been spawned leads no group yet.
        try:
            self.transport.signalProcess(number)
        except ProcessExitedAlready:
            return False
        return True
