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
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.config.sources import Sources
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.counters import Total
from snqd.daemon.restart_policy import Life
from snqd.pipe import commands
from snqd.pipe.child_spec import STANDBY, ChildSpec
from snqd.pipe.log_lines import ChildLog

log = Logger()
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
    """The place that a child is in."""

    def child_ready(self, child: ChildProcess) -> None:
        """It is up."""

    def child_boot_failed(self, child: ChildProcess, message: str, traceback: str) -> None:
        """It can't start, and says why; it ends soon."""

    def child_reported(self, child: ChildProcess) -> None:
        """Its `report` is fresh."""

    def child_at_work(self, child: ChildProcess) -> None:
        """It waits no more."""

    def child_ended(self, child: ChildProcess, ending: ChildEnd) -> None:
        """It is gone, and its pipes are read to their end."""


class ChildNews(Protocol):
    """What a child tells that concerns the whole daemon."""

    def heard(self, body: bytes, listener: str, /) -> None:
        """A message came on the control channel; `listener` names the process that heard it, and the way."""

    def sites_missed(self) -> None:
        """A child has jobs of sites that it does not know."""

    def counted(self, counters: list[list[Any]], /) -> None:
        """A child has counted this since its last report."""


class ChildProcess(ProcessProtocol):
    """Speaks with one child and keeps what it knows of it.

    :ivar started: the date.
    :ivar ready_at: the clock's seconds, None until it is up.
    :ivar silence: seconds without a sign of life, once it is killed for that.
    :ivar last_beat: the clock's seconds when it was last heard of.
    :ivar sources: the configuration that it was told.
    :ivar digest: of the configuration that it said it has; empty while that is not known.
    :ivar stopping: whether it was told to leave.
    :ivar report: its last one (:meth:`snqd.io.io_master.IoMaster.report`, with `handled`, `settled` and `rss_bytes`).
    :ivar trouble_since: the date when it began to report that its store does not take part, None while it does.
    """

    transport: Any

    def __init__(
        self, clock: IReactorTime, spec: ChildSpec, sources: Sources, owner: ChildOwner, news: ChildNews
    ) -> None:
        self._clock = clock
        self._owner = owner
        self._news = news
        self.sources = sources
        self.digest = ""
        self.stopping = False
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
        self._channel = commands.Channel(
            {
                commands.Ready: self.became_ready,
                commands.BootFailed: self.boot_failed,
                commands.Heartbeat: self.reported,
                commands.RefreshSites: news.sites_missed,
                commands.Heard: lambda body, way: news.heard(body, f"{spec.incarnation} {way}"),
            }
        )
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
    def waits(self) -> bool:
        """Whether it does nothing yet, since another process goes first."""
        return self.report.get("state") == STANDBY

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

    def became_ready(self, version: str, digest: str) -> str:
        """It is up, if it is of this version, which it is answered with."""
        self.last_beat = self._clock.seconds()
        if version != self.spec.version:
            wrong = (
                f"snqd {version} is installed by now, and the daemon runs {self.spec.version}: the children that run "
                "go on; stop and start the daemon to bring up the new version"
            )
            self._owner.child_boot_failed(self, wrong, "")
            self.stop()
        else:
            self.ready_at = self.last_beat
            self.digest = digest
            self._owner.child_ready(self)
        return self.spec.version

    def boot_failed(self, message: str, traceback: str) -> None:
        """It can't start."""
        self._owner.child_boot_failed(self, message, traceback)

    def reported(self, report: dict[str, Any], counters: list[list[Any]]) -> None:
        """A heartbeat, or an answer to `refresh`."""
        self.last_beat = self._clock.seconds()
        waited, self.report = self.waits, report
        if not report.get("trouble"):
            self.trouble_since = None
        elif self.trouble_since is None:
            self.trouble_since = unix_time()
        for _, _, *numbers in counters:
            self._total.add(numbers, self.last_beat)
        self._news.counted(counters)
        self._owner.child_reported(self)
        if waited and not self.waits:
            self._owner.child_at_work(self)

    def refresh(self) -> Deferred[Any]:
        """Ask for a fresh report; fires when it is here."""
        return self.ask(commands.Report).addCallback(lambda answer: self.reported(**answer))

    def ask(self, command: type[commands.Command], **arguments: Any) -> Deferred[Any]:
        """Send it a command; fires with the answer, fails with CommandFailed, or if it dies before it answers."""
        asked = self._channel.ask(command, **arguments)
        return self._until_answered(asked) if command.loads else asked

    def tell(self, command: type[commands.Command], **arguments: Any) -> None:
        """Send it a command, where nothing depends on the answer."""
        self.ask(command, **arguments).addErrback(
            lambda failure: log.debug(
                "child {id} did not do {command}: {why}",
                id=self.spec.id,
                command=command.__name__,
                why=failure.getErrorMessage(),
            )
        )

    def _until_answered(self, asked: Deferred[Any]) -> Deferred[Any]:
        """The child is `loading` until it answers, even if nobody waits for that."""
        answer: Deferred[Any] = Deferred()
        if self._clock.seconds() - self.last_beat <= BEATING:  # one that is silent already has not even heard it
            self._loads += 1
            asked.addBoth(self._loaded)
        asked.chainDeferred(answer)
        return answer

    def _loaded(self, result: Any) -> Any:
        self._loads -= 1
        self.last_beat = self._clock.seconds()
        return result

    def stop(self) -> None:
        """Let it drain and exit: one that can't hear it yet is not yet at work, and its signal ends it at once."""
        self.stopping = True
        if self.ready_at is None:
            self.signal(SIGTERM)
        else:
            self.tell(commands.Stop)

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
