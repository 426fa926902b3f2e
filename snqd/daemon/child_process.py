"""ChildProcess: one living child as its parent sees it."""

from __future__ import annotations

from contextlib import suppress
from signal import SIGTERM
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.protocols import amp
from twisted.python.failure import Failure

from snqd.config.sources import SourceChanges, Sources
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.counters import Total
from snqd.daemon.restart_policy import Life
from snqd.pipe import commands
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.log_lines import ChildLog

BEATING = 3.0
"""Seconds since the last heartbeat within which a child works: beats come once a second, on a busy machine later."""
LINGER = 1.0
"""Seconds for which the pipes of a dead child are still read: a grandchild may hold them open for ever."""


@attrs.frozen
class ChildEnd:
    """How a process ended: with an exit code, or killed by a signal.

    :ivar silence: seconds without a sign of life, for which its parent killed it; 0 if that was not so.
    :ivar came_up: whether it was ready before.
    """

    exit_code: int | None = None
    signal: int | None = None
    silence: float = 0.0
    came_up: bool = True

    def __str__(self) -> str:
        """What follows "the child"."""
        if self.signal is None:
            return f"exited with code {self.exit_code}"
        hung = " (it hung)" if self.came_up else ""
        why = f"{silent_for(self.silence, self.came_up)}{hung} and " if self.silence else ""
        return f"{why}was killed by signal {self.signal}"

    @property
    def cause(self) -> str:
        """The reason that a job has which was running."""
        return f"its process {self}"


def silent_for(seconds: float, came_up: bool) -> str:
    """How it is said of a child that it gave no heartbeat for so long; what follows "the child"."""
    if came_up:
        return f"gave no sign of life for {seconds:.1f} s"
    return f"did not come up within {seconds:.0f} s"


class ChildOwner(Protocol):
    """Who is told what a child does."""

    def child_ready(self, child: ChildProcess) -> None:
        """It is up."""

    def child_boot_failed(self, child: ChildProcess, message: str, traceback: str) -> None:
        """It can't start, and says why; it ends soon."""

    def child_reported(self, child: ChildProcess, counters: list[list[Any]]) -> None:
        """Its `report` is fresh, and this was counted since the last one."""

    def child_misses_sites(self, child: ChildProcess) -> None:
        """It has jobs of sites that it does not know."""

    def child_heard(self, child: ChildProcess, body: bytes, way: str) -> None:
        """It has heard a message on the control channel."""

    def child_ended(self, child: ChildProcess, ending: ChildEnd) -> None:
        """It is gone, and its pipes are read to their end."""


class ParentChannel(commands.Channel):
    """The parent's end of the pipes; translates only."""

    def __init__(self, child: ChildProcess) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._child = child

    @commands.Ready.responder
    def ready(self, version: str) -> dict[str, Any]:
        """Answer with the parent's version."""
        self._child.became_ready(version)
        return {"version": self._child.spec.version}

    @commands.RefreshSites.responder
    def refresh_sites(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.misses_sites()
        return {}

    @commands.Heard.responder
    def heard(self, body: bytes, way: str) -> dict[str, Any]:
        """Pass it on."""
        self._child.heard(body, way)
        return {}

    @commands.BootFailed.responder
    def boot_failed(self, message: str, traceback: str) -> dict[str, Any]:
        """Pass it on."""
        self._child.boot_failed(message, traceback)
        return {}

    @commands.Heartbeat.responder
    def heartbeat(self, report: dict[str, Any], counters: list[list[Any]]) -> dict[str, Any]:
        """Pass it on."""
        self._child.reported(report, counters)
        return {}


class ChildProcess(ProcessProtocol):
    """Speaks with one child and keeps what it knows of it.

    :ivar started: the date.
    :ivar ready_at: the clock's seconds, None until it is up.
    :ivar silence: seconds without a sign of life, once it is killed for that.
    :ivar last_beat: the clock's seconds when it was last heard of.
    :ivar sources: the configuration that it works by.
    :ivar report: its last one (:meth:`snqd.io.io_master.IoMaster.report`, with `handled`, `settled` and `rss_bytes`).
    :ivar trouble_since: the date when it began to report that its store does not take part, None while it does.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, spec: ChildSpec, sources: Sources, owner: ChildOwner) -> None:
        self._clock = clock
        self._owner = owner
        self.sources = sources
        self.spec = spec
        self.log = ChildLog(clock, spec.id)
        self.started = unix_time()
        self.last_beat = clock.seconds()
        self.ready_at: float | None = None
        self.silence = 0.0
        self.report: dict[str, Any] = {}
        self.trouble_since: UnixTime | None = None
        self._loads = 0
        self._total = Total()
        self._channel = ParentChannel(self)
        self._ending: ChildEnd | None = None
        self._lingering: IDelayedCall | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        pid: int = self.transport.pid
        return pid

    @property
    def rate(self) -> float:
        """Jobs that it handled per second lately."""
        return self._total.rate(self._clock.seconds())

    @property
    def loading(self) -> bool:
        """Whether it may be importing code, for its boot or another configuration, and so can't send heartbeats."""
        return self.ready_at is None or self._loads > 0

    def connectionMade(self) -> None:
        """Hand the child its spec."""
        self._channel.makeConnection(self)
        self.transport.write(self.spec.to_json())
        self.transport.closeStdin()
        self.spec = attrs.evolve(self.spec, sources="")  # of ten thousand sites it takes megabytes

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._ending is None

    def write(self, data: bytes) -> None:
        """Write to the child, for the channel; nothing is written to a pipe that is closed."""
        if commands.CHILD_READS in self.transport.pipes:
            self.transport.writeToChild(commands.CHILD_READS, data)

    def writeSequence(self, pieces: list[bytes]) -> None:
        """Write to the child, for the channel."""
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        """Close the pipe, for the channel: the child takes it for its parent's death."""
        self.transport.closeChildFD(commands.CHILD_READS)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Log, or hand to the channel."""
        if childFD == commands.CHILD_WRITES:
            self._channel.dataReceived(data)  # type: ignore[no-untyped-call]
        else:
            (self.log.stdout if childFD == 1 else self.log.stderr).feed(data)

    def became_ready(self, version: str) -> None:
        """It is up, if it is of this version."""
        self.last_beat = self._clock.seconds()
        if version != self.spec.version:
            wrong = (
                f"snqd {version} is installed by now, and the daemon runs {self.spec.version}: the children that run "
                "go on; stop and start the daemon to bring up the new version"
            )
            self._owner.child_boot_failed(self, wrong, "")
            self.stop()
            return
        self.ready_at = self.last_beat
        self._owner.child_ready(self)

    def boot_failed(self, message: str, traceback: str) -> None:
        """It can't start."""
        self._owner.child_boot_failed(self, message, traceback)

    def reported(self, report: dict[str, Any], counters: list[list[Any]]) -> None:
        """A heartbeat, or an answer to `refresh`."""
        self.last_beat = self._clock.seconds()
        self.report = report
        if not report.get("trouble"):
            self.trouble_since = None
        elif self.trouble_since is None:
            self.trouble_since = unix_time()
        for _, _, *numbers in counters:
            self._total.add(numbers, self.last_beat)
        self._owner.child_reported(self, counters)

    def refresh(self) -> Deferred[Any]:
        """Ask for a fresh report; fires when it is here."""
        return self._channel.ask(commands.Report).addCallback(
            lambda answer: self.reported(answer["report"], answer["counters"])
        )

    def recover(self, owner: str, suspects: list[str], cause: str) -> Deferred[Any]:
        """Let it free what the dead process `owner` held; fails with RecoverFailed, or if the child dies."""
        return self._channel.ask(commands.Recover, owner=owner, suspects=suspects, cause=cause)

    def prepare(self, changes: SourceChanges, check: list[str]) -> Deferred[Any]:
        """Let it make ready for another configuration; see :class:`snqd.pipe.commands.Prepare`."""
        return self._load(commands.Prepare, changes=changes.to_json(), check=check)

    def commit(self, sources: Sources) -> Deferred[Any]:
        """Let it go over to what it prepared, which is `sources`."""
        self.sources = sources
        return self._load(commands.Commit)

    def drop_prepared(self) -> Deferred[Any]:
        """Let it forget what it prepared."""
        return self._channel.ask(commands.Drop)

    def take_over(self) -> None:
        """The one before it is gone: let it start what it held back. A failure is told as a boot failure."""
        self._load(commands.TakeOver).addErrback(lambda failure: None)  # its end is what answers

    def _load(self, command: type[amp.Command], **arguments: Any) -> Deferred[Any]:
        """Ask for what may import code; the child is `loading` until it answers, even if nobody waits for that."""
        answer: Deferred[Any] = Deferred()
        asked = self._channel.ask(command, **arguments)
        if self._clock.seconds() - self.last_beat <= BEATING:  # one that is silent already has not even heard it
            self._loads += 1
            asked.addBoth(self._loaded)
        asked.addCallbacks(answer.callback, answer.errback)
        return answer

    def _loaded(self, result: Any) -> Any:
        self._loads -= 1
        self.last_beat = self._clock.seconds()
        return result

    def misses_sites(self) -> None:
        """It has jobs of sites that it does not know."""
        self._owner.child_misses_sites(self)

    def heard(self, body: bytes, way: str) -> None:
        """It has heard a message on the control channel."""
        self._owner.child_heard(self, body, way)

    def set_log_level(self, namespace: str, level: str) -> Deferred[Any]:
        """Let it log `namespace` from `level` on."""
        return self._channel.ask(commands.SetLogLevel, namespace=namespace, level=level)

    def wake(self) -> Deferred[Any]:
        """Let it look for work."""
        return self._channel.ask(commands.Wake)

    def stop(self) -> None:
        """Let it drain and exit: one that can't hear it yet is not yet at work, and its signal ends it at once."""
        if self.ready_at is None:
            self.signal(SIGTERM)
        else:
            self._channel.ask(commands.Stop).addErrback(lambda failure: None)  # its end is what answers

    def signal(self, number: int) -> None:
        """Send it a signal, if it still is there."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def life(self, ending: ChildEnd) -> Life:
        """How it lived."""
        ready_for = None if self.ready_at is None else self._clock.seconds() - self.ready_at
        return Life(ready_for, self.report.get("settled", 0), ending.exit_code)

    def processExited(self, reason: Failure) -> None:
        """It is dead, and may have left something in the pipes."""
        status: Any = reason.value
        self._ending = ChildEnd(status.exitCode, status.signal, self.silence, self.ready_at is not None)
        self._lingering = self._clock.callLater(LINGER, self._end, reason)

    def processEnded(self, reason: Failure) -> None:
        """The pipes are closed, too."""
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
            self._end(reason)

    def _end(self, reason: Failure) -> None:
        for fd in list(self.transport.pipes):
            self.transport.closeChildFD(fd)
        self.log.end()
        self._channel.connectionLost(reason)
        if self._ending is not None:
            self._owner.child_ended(self, self._ending)
