"""A daemon over fake processes: each has pipes in memory, and a child at their other end that the test plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone, ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from snqd.config.load import Overrides, load
from snqd.config.settings import Settings
from snqd.config.source_reader import SourceReader
from snqd.config.sources import Sources
from snqd.daemon import child_process, queue_daemon
from snqd.daemon.launcher import Launcher
from snqd.daemon.memory_total import Memory
from snqd.daemon.news import DaemonNews
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.reload import Reload
from snqd.pipe import commands
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.version import VERSION
from tests.unit.dates import Dates

MB = 1024**2
Wire = list[tuple[Callable[..., Any], tuple[Any, ...]]]


class FakeChild(commands.Channel):
    """The child's end: remembers what the parent wants, and says what the test wants.

    :ivar digest: of the configuration that it has.
    :ivar recover_answer: what Recover gives; a Deferred keeps the parent waiting.
    """

    def __init__(self, process: FakeProcess) -> None:
        super().__init__(
            {
                commands.Recover: self.recover,
                commands.Report: lambda: self.report_answer,
                commands.Stop: self.stop,
                commands.Prepare: self.prepare,
                commands.Commit: self.commit,
                commands.Drop: lambda: self.decisions.append("drop"),
                commands.TakeOver: self.take_over,
                commands.Wake: self.wake,
                commands.SetLogLevel: lambda namespace, level: self.levels.append((namespace, level)),
            }
        )
        self.process = process
        self.recoveries: list[tuple[str, list[str], str]] = []
        self.recover_answer: Callable[[], Any] = lambda: 1
        self.report_answer: Any = {"report": {"state": "queue", "in_flight": 3}, "counters": []}
        self.stops = 0
        self.wakes = 0
        self.prepared: list[tuple[Any, list[str]]] = []
        self.prepare_answer: Any = {"problems": [], "traceback": ""}
        self.decisions: list[str] = []
        self.commit_answer: Any = None
        self.commit_errors: list[Exception] = []
        self.levels: list[tuple[str, str]] = []
        self.digest = ""
        self.next_digest = ""
        self.take_overs = 0
        self.take_over_answer: Any = {}
        self.makeConnection(self)

    def write(self, data: bytes) -> None:
        self.process.wire.append((self.process.protocol.childDataReceived, (4, data)))

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        raise AssertionError("the child's end was closed")

    def recover(self, owner: str, suspects: list[str], cause: str) -> Any:
        self.recoveries.append((owner, suspects, cause))
        return self.recover_answer()

    def stop(self) -> None:
        self.stops += 1

    def prepare(self, changes: Any, digest: str, check: list[str]) -> Any:
        self.prepared.append((changes, check))
        self.next_digest = digest
        return self.prepare_answer

    def commit(self, digest: str) -> Any:
        self.decisions.append("commit")
        if self.commit_answer is not None:
            return self.commit_answer
        if self.commit_errors:
            raise self.commit_errors.pop(0)
        if digest != self.next_digest:
            raise commands.CommandFailed("another one was prepared")
        self.digest = digest
        return digest

    def take_over(self) -> Any:
        self.take_overs += 1
        return self.take_over_answer

    def wake(self) -> None:
        self.wakes += 1

    def says(self, command: Any, **arguments: Any) -> None:
        """Send the parent a command."""
        self.ask(command, **arguments).addErrback(lambda failure: failure.trap(ConnectionDone))
        pump(self.process.wire)

    def ready(self, version: str = VERSION) -> None:
        self.digest = self.digest or Sources.from_json(self.process.spec.sources).digest
        self.says(commands.Ready, version=version, digest=self.digest)

    def beat(self, counters: list[list[Any]] | None = None, **report: Any) -> None:
        self.says(commands.Heartbeat, report={"state": "listening", **report}, counters=counters or [])

    def boot_failed(self, message: str, traceback: str = "Traceback ...") -> None:
        self.says(commands.BootFailed, message=message, traceback=traceback)


def pump(wire: Wire) -> None:
    """Deliver what was written to the pipes, and what was answered."""
    while wire:
        deliver, arguments = wire.pop(0)
        deliver(*arguments)


class FakeProcess:
    """IProcessTransport, as far as it is used."""

    def __init__(self, pid: int, protocol: Any, wire: Wire) -> None:
        self.wire = wire
        self.pid = pid
        self.protocol = protocol
        self.pipes = dict.fromkeys((0, 1, 2, 3, 4))
        self.stdin = b""
        self.signals: list[int] = []
        self.dead = False
        self.child = FakeChild(self)
        protocol.makeConnection(self)

    @property
    def spec(self) -> ChildSpec:
        return ChildSpec.from_json(self.stdin)

    def write(self, data: bytes) -> None:
        self.stdin += data

    def closeStdin(self) -> None:
        self.closeChildFD(0)

    def closeChildFD(self, fd: int) -> None:
        self.pipes.pop(fd, None)

    def writeToChild(self, fd: int, data: bytes) -> None:
        assert fd == 3
        if not self.dead:
            self.wire.append((self._deliver, (data,)))

    def _deliver(self, data: bytes) -> None:
        if not self.dead:
            self.child.dataReceived(data)

    def signalProcess(self, number: int) -> None:
        if self.dead:
            raise ProcessExitedAlready
        self.signals.append(number)

    def exits(self, code: int | None = None, killed_by: int | None = None, pipes_stay_open: bool = False) -> None:
        """The process ends."""
        self.dead = True
        self.child.connectionLost(Failure(ConnectionDone()))
        reason = Failure(ProcessDone(0) if code == 0 else ProcessTerminated(code, killed_by))
        self.protocol.processExited(reason)
        if not pipes_stay_open:
            self.protocol.processEnded(reason)
        pump(self.wire)


class FakeReactor(MemoryReactorClock):
    """:ivar processes: all that were ever spawned. :ivar spawn_error: what the next spawn fails with."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []
        self.wire: Wire = []
        self.spawned: list[tuple[list[str], dict[str, Any]]] = []
        self.spawn_error: OSError | None = None

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], **keywords: Any) -> FakeProcess:
        if self.spawn_error is not None:
            error, self.spawn_error = self.spawn_error, None
            raise error
        self.spawned.append((args, keywords))
        self.processes.append(FakeProcess(1000 + len(self.processes), protocol, self.wire))
        return self.processes[-1]

    def advance(self, amount: float) -> None:
        super().advance(amount)
        pump(self.wire)

    @property
    def living(self) -> list[FakeProcess]:
        return [process for process in self.processes if not process.dead]

    def named(self, child_id: str) -> FakeProcess:
        """The living child of that id."""
        (process,) = [process for process in self.living if process.spec.id == child_id]
        return process


def sources(folder: Path, more: str = "", threads: int = 1) -> Sources:
    """A configuration in `folder`."""
    path = folder / "snq.ini"
    text = (
        f"[snqd]\nid = t\nthreads = {threads}\ndrain_timeout = 20\nhang_timeout = 10\nrespawn_max_delay = 30\n"
        f"[queue]\nspawndelay = 1\n{more}"
    )
    return Sources(path, {str(path): text})


def settings_of(given: Sources) -> Settings:
    return load(given, Overrides(), {})


class Steady(Random):
    """:ivar value: what every call of `random` gives."""

    value = 0.0

    def random(self) -> float:
        return self.value


class Stage:
    """
    :ivar ends: how often the daemon asked for the end of its process.
    :ivar dates: the system's clock.
    """

    def __init__(self, folder: Path, more: str, threads: int) -> None:
        self.reactor = FakeReactor()
        self.dates = Dates(self.reactor)
        self.config = folder / "snq.ini"
        given = sources(folder, more, threads)
        self.state_dir = folder / "state"
        self.ends = 0
        self.random = Steady()
        self.news = DaemonNews()
        self.launcher = Launcher(self.reactor, "t", given, Overrides(), self.news, random=self.random)
        self.own_bytes = 40 * MB
        memory = Memory(lambda: 3000 * MB, lambda: self.own_bytes)
        self.daemon = QueueDaemon(self.launcher, self.news, settings_of(given), memory, lambda: 4711, self._end)

    def _end(self) -> None:
        self.ends += 1

    def write(self, more: str = "", threads: int = 1, snqd: str = "") -> None:
        """Write the configuration's file, to be reloaded."""
        text = sources(self.config.parent, more, threads).main
        self.config.write_text(text.replace("[queue]", f"{snqd}[queue]"))

    def reload(self) -> Reload:
        """What reloads the configuration's file, which is written as the daemon has it."""
        self.config.write_text(self.launcher.sources.main)
        reload = Reload(self.reactor, self.launcher, self.daemon, SourceReader(self.config), maybeDeferred)
        self.news.child_up.subscribe(reload.bring_up_to_date)
        return reload

    def done(self, asked: Deferred[Any]) -> Any:
        """What `asked` gives, after all that goes through the pipes for it; a Failure where it fails."""
        seen: list[Any] = []
        asked.addBoth(seen.append)
        self.reactor.advance(0)
        assert seen, "it waits for something"
        return seen[0]

    def start(self) -> Stage:
        self.daemon.startService()
        return self

    def started_ready(self) -> Stage:
        self.start()
        for process in self.reactor.processes:
            process.child.ready()
        return self

    def status(self) -> Any:
        seen: list[Any] = []
        self.daemon.status().addCallback(seen.append)
        pump(self.reactor.wire)
        if not seen:
            self.reactor.advance(1)
        return seen[0]

    def stop(self) -> Any:
        stopped = self.daemon.stopService()
        pump(self.reactor.wire)
        return stopped

    def group(self) -> Any:
        return self.status()["groups"][0]

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.reactor.advance(1)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stage]]:
    """Makes a daemon; at the end it is stopped, and no timer is left."""
    made: list[Stage] = []

    def make(more: str = "", threads: int = 1) -> Stage:
        made.append(Stage(tmp_path, more, threads))
        for module in (queue_daemon, child_process):
            monkeypatch.setattr(module, "unix_time", made[-1].dates)
        return made[-1]

    yield make
    for each in made:
        if each.daemon.running:
            stopped = each.stop()
            for process in each.reactor.living:
                process.exits(0)
            assert stopped.called
        assert not each.reactor.getDelayedCalls()
