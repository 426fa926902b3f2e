"""The child: reads its spec, puts its parts together, starts them, reports to its parent, drains and exits.

Run by the parent as ``python -m snqd.child.child``.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, globalLogBeginner
from twisted.python.failure import Failure

from snqd.child.configuration import ChildConfiguration
from snqd.child.parts import Builder, Parent, Parts
from snqd.child.pulse import Pulse
from snqd.child.single_process_timeout import SingleProcessTimeout
from snqd.child.switch import Switch
from snqd.config.settings import Settings
from snqd.core.clocks import make_steady
from snqd.core.errors import SnqdError
from snqd.core.threads import InThread
from snqd.io.interface import IIoManager, Scope
from snqd.pipe import commands, exit_codes
from snqd.pipe.child_spec import EXCLUSIVE, SOLO, ChildSpec
from snqd.pipe.log_levels import LogLevels
from snqd.pipe.log_lines import LevelledLines
from snqd.pipe.text_streams import write_utf8
from snqd.pipe.version import VERSION

ANSWER_TIMEOUT = 2.0
SWITCH_INTERVAL = 0.0005
"""Seconds: a thread that computes holds up the reactor so long only."""
NEW_OBJECTS = 10_000
"""How many more objects there must be before a child looks for garbage in cycles."""

LEAST_TO_END = 2.0
"""Seconds to leave for a child that learns that another process has begun already, as after it stood still."""


class VersionsDiffer(SnqdError):
    """Parent and child are of different versions."""


class Child:
    """This process, from boot to exit. Every way out is the reactor's stop, which waits for the drain.

    :param build: puts the parts together.
    :param in_thread: see :class:`~snqd.child.configuration.ChildConfiguration`.
    :param end_within: ends this process in so many seconds, whatever it does then.
    :ivar pulse: what it tells its parent again and again.
    :ivar levels: of this process's log.
    :ivar exit_code: see :mod:`snqd.pipe.exit_codes`.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        spec: ChildSpec,
        build: Builder,
        in_thread: InThread = maybeDeferred,
        end_within: Callable[[float], Any] = lambda seconds: None,
    ) -> None:
        self._reactor = reactor
        self._spec = spec
        self._build = build
        self._in_thread = in_thread
        self._end_within = end_within
        self._configuration: ChildConfiguration | None = None
        self._parts: Parts | None = None
        self._standby = spec.standby
        self._holding = False
        self._up = False
        self._ready = False
        self._most_drain = float("inf")
        self._leaving = False
        self._boot: Deferred[Any] = succeed(None)
        self._patience = SingleProcessTimeout()
        self.pulse = Pulse(reactor, self._send_heartbeat, self._look_at)
        self.levels = LogLevels()
        self.levels.apply(spec.log_levels)
        self.channel = commands.Channel(
            {
                commands.Report: self.pulse.figures,
                commands.SetLogLevel: self.levels.set,
                commands.TakeOver: self.take_over,
                commands.Stop: partial(self.leave, exit_codes.DONE),
            },
            lost=self.orphaned,
        )
        self.exit_code = exit_codes.DONE
        reactor.addSystemEventTrigger("before", "shutdown", self._drain)

    def start(self) -> Deferred[Any]:
        """Boot; fires when the child is up, or has told why it can't be."""
        self._boot = self._start().addErrback(self._failed)
        return self._boot

    @inlineCallbacks
    def _start(self) -> Any:
        if self._spec.version != VERSION:
            raise VersionsDiffer(
                f"the daemon runs snqd {self._spec.version}, but snqd {VERSION} is installed by now: the children that "
                "run go on; stop and start the daemon to bring up the new version"
            )
        self.pulse.begin()
        configuration = self._configuration = ChildConfiguration(self._spec, self._in_thread)
        self._spec = attrs.evolve(self._spec, sources="")  # of ten thousand sites it takes megabytes
        self._parts = self.pulse.parts = self._build(self._reactor, configuration.settings, self._spec, self)
        self.channel.take(Switch(configuration, self._parts.participants).responders())
        self._parts.io_master.on_leave = self.leave
        self._hold_back(self._parts)
        yield self._parts.io_master.start()
        self._up = True
        if not self._waits:
            self._at_work()
        if self._may_go_on:
            yield self._start_held()
        self.pulse.beat()  # once it is ready nobody shall see it as one that still boots
        yield self.channel.ask(commands.Ready, version=VERSION, digest=configuration.digest)
        self.pulse.beat()  # the parent learns from it what a fresh child needs
        self.pulse.look_for_first_job()

    def _hold_back(self, parts: Parts) -> None:
        """Hold what must not run twice until it is this child's turn."""
        once = parts.once
        if once is not None:
            once.on_taken, once.on_lost = self._go_on, self._lost
        if self._standby or once is not None:
            self._holding = True
            parts.io_master.hold(self._held)
        self.pulse.standby = self._waits

    @property
    def _waits(self) -> bool:
        """Whether it is to do nothing at all yet."""
        return self._holding and self._spec.role == EXCLUSIVE

    def _held(self, manager: IIoManager) -> bool:
        once: Any = self._parts.once if self._parts is not None else None
        if manager is once:
            return False
        return self._spec.role == EXCLUSIVE or manager.scope is Scope.SINGLE_ONLY

    @property
    def _may_go_on(self) -> bool:
        """Whether what is held back is to start now."""
        if self._parts is None or not self._up or not self._holding or self._standby or self._leaving:
            return False
        return self._parts.once is None or self._parts.once.lease.held

    def take_over(self) -> None:
        """The child that was here before is gone."""
        self._standby = False
        self._go_on()
        if self._holding and self._parts is not None and self._parts.once is not None:
            self._parts.once.look_now()

    def _go_on(self) -> None:
        """Start what was held back, if it may start by now."""
        if self._may_go_on:
            self._boot = self._start_held().addErrback(self._failed)

    @inlineCallbacks
    def _start_held(self) -> Any:
        if self._parts is not None:
            self._holding = False
            yield self._parts.io_master.start_held()
            self._at_work()
            self.pulse.beat()

    def _at_work(self) -> None:
        if self._parts is not None:
            self._ready = True
            self.pulse.standby = False
            self.channel.take(self._parts.at_work)

    def _lost(self) -> None:
        """Another process may begin what this one runs: leave before that, for a fresh one that waits."""
        if self._parts is not None and self._parts.once is not None and not self._leaving:
            left = self._parts.once.lease.seconds_to_end
            self._most_drain = left / 2
            self._end_within(left or LEAST_TO_END)
            self.leave(exit_codes.RESTART)

    def refresh_sites(self) -> None:
        """See :class:`snqd.child.parts.Parent`."""
        self._answered(self.channel.ask(commands.RefreshSites))

    def heard(self, body: bytes, way: str) -> None:
        """See :class:`snqd.child.parts.Parent`."""
        self._answered(self.channel.ask(commands.Heard, body=body, way=way))

    @inlineCallbacks
    def _failed(self, failure: Failure) -> Any:
        if self._leaving:
            return
        error = failure.value
        message = str(error) if isinstance(error, SnqdError) else f"{type(error).__name__}: {error}"
        told = self.channel.ask(commands.BootFailed, message=message, traceback=_chain(failure))
        yield self._answered(told)
        self.leave(exit_codes.FAILED)

    def _answered(self, call: Deferred[Any]) -> Deferred[Any]:
        # A parent that is dead does not answer, and connectionLost tells of it.
        return call.addTimeout(ANSWER_TIMEOUT, self._reactor).addErrback(
            lambda failure: self.log.debug("the parent did not answer: {why}", why=failure.getErrorMessage())
        )

    def _send_heartbeat(self, figures: dict[str, Any]) -> Deferred[Any]:
        return self._answered(self.channel.ask(commands.Heartbeat, **figures))

    def _look_at(self, report: Mapping[str, Any]) -> None:
        """A solo child that has had nothing to do for long leaves."""
        if self._spec.role == SOLO and self._ready and self._patience.exhausted(report, self._reactor.seconds()):
            self.leave(exit_codes.DONE)

    def orphaned(self) -> None:
        """The parent is gone, and the log with it: drain and exit."""
        null = os.open(os.devnull, os.O_WRONLY)
        for fd in (1, 2):
            os.dup2(null, fd)
        os.close(null)
        self.leave(exit_codes.DONE)

    def leave(self, exit_code: int) -> None:
        """Drain, then exit; the first to ask sets the exit code."""
        if not self._leaving:
            self._leaving = True
            self.exit_code = exit_code
            self._reactor.stop()

    @inlineCallbacks
    def _drain(self) -> Any:
        self._leaving = True
        yield self._answered(self._boot)
        if self._parts is not None and self._configuration is not None:
            timeout = min(self._configuration.settings.daemon.drain_timeout, self._most_drain)
            yield self._parts.io_master.drain(timeout)
            yield self._parts.io_master.stop()
        self.pulse.stop()
        if self.channel.transport is not None:
            yield self.pulse.beat(last=True)


def _chain(failure: Failure) -> str:
    # Failure's own text leaves out the exceptions that this one was raised from, such as the plug-in's.
    return "".join(traceback.format_exception(None, failure.value, failure.getTracebackObject()))


def end_hard(seconds: float) -> None:
    """Let the kernel end this process: what its handlers do must not go on for longer, and may be stuck."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def prepare_process() -> None:
    """Set what holds for the whole process, before anything is started in it."""
    # Ctrl-C reaches every process of a terminal; it is the parent that then lets its children drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A hang-up of the terminal reaches them all, too, and these two are for the parent.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_INTERVAL)
    write_utf8(sys.stdout, sys.stderr)
    faulthandler.enable()
    for fd in (commands.CHILD_READS, commands.CHILD_WRITES):
        os.set_inheritable(fd, False)


def main(build: Builder) -> None:
    """Be a child; ends the interpreter with the exit code for the parent.

    :param build: puts the parts together.
    """
    prepare_process()
    from twisted.internet import reactor, stdio

    make_steady(reactor)
    in_thread = partial(deferToThreadPool, cast(Any, reactor), reactor.getThreadPool())  # type: ignore[attr-defined]
    child = Child(reactor, ChildSpec.from_json(sys.stdin.buffer.read()), build, in_thread, end_hard)
    observer = child.levels.filtering(LevelledLines(sys.stderr))
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    stdio.StandardIO(child.channel, stdin=commands.CHILD_READS, stdout=commands.CHILD_WRITES, reactor=reactor)  # type: ignore[call-arg]
    reactor.callWhenRunning(child.start)
    reactor.run()
    sys.stderr.flush()
    sys.exit(child.exit_code)


def build_child(reactor: Any, settings: Settings, spec: ChildSpec, parent: Parent) -> Parts:
    """Put the product's own parts together; imported so late that what fails in it is told as a boot failure."""
    from snqd.child.assembly import build

    parts = build(reactor, settings, spec, parent)
    # Modules and ten thousand sites' settings stay: to look through them again and again is a tenth of what small jobs
    # cost. What such sites' jobs leave in the accounts stays as well, and a hundred jobs under way are no leak.
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    return parts


if __name__ == "__main__":
    main(build_child)
