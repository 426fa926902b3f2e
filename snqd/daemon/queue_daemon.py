"""QueueDaemon: the parent. It spawns, watches and respawns children, and adds up what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.logger import Logger

from snqd.config.settings import GroupSettings, Settings
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.counters import Totals
from snqd.daemon.child_process import ChildProcess
from snqd.daemon.child_slot import ABORT_GRACE, ChildSlot
from snqd.daemon.group import Group
from snqd.daemon.groups import Groups
from snqd.daemon.hang_watch import LOOK_EVERY, HangWatch
from snqd.daemon.launcher import Launcher
from snqd.daemon.memory_guard import MemoryGuard
from snqd.daemon.memory_total import Memory
from snqd.daemon.news import DaemonNews
from snqd.daemon.recovery import Recovery
from snqd.daemon.state_dir import DaemonLock, prepare
from snqd.pipe.commands import Command, SetLogLevel
from snqd.pipe.crash_ledger import LEDGERS
from snqd.pipe.periodic import PeriodicCall
from snqd.pipe.version import VERSION

REPORT_TIMEOUT = 1.0
BEYOND_HELP = 3 * ABORT_GRACE
"""Seconds after the limit of its silence by which a hanging child should be dead: one that is not means no progress."""


class QueueDaemon(MultiService):
    """Runs no handler and opens no store.

    :param news: what children and groups tell; it does its part of it.
    :param memory: what is known of this machine's memory.
    :param pid: this process's, asked for once it has become a daemon.
    :param end: ends this process in good order, such as `reactor.stop`.
    :ivar levels: of this daemon's log.
    """

    log = Logger()

    def __init__(
        self,
        launcher: Launcher,
        news: DaemonNews,
        settings: Settings,
        memory: Memory,
        pid: Callable[[], int],
        end: Callable[[], Any],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = launcher.reactor
        self.levels = launcher.levels
        self._settings = settings
        self._pid = pid
        self._end = end
        self._ending = False
        self._started = UnixTime(0.0)
        self._lock = DaemonLock(settings.daemon.state_dir)
        self._totals = Totals()
        self._launcher = launcher
        self._news = news
        folder = settings.daemon.state_dir / LEDGERS
        self._recovery = Recovery(
            self._clock, folder, lambda: self._groups.at_work(), lambda incarnation: self._groups.suspected(incarnation)
        )
        self._groups = Groups(self._make_group, settings)
        self.addService(self._recovery)  # type: ignore[no-untyped-call]
        self._watch = HangWatch(settings.daemon.hang_timeout, 0.0)
        self._memory = MemoryGuard(self._clock, memory, settings)
        self._looks = PeriodicCall(self._clock, self._look)
        news.counted.subscribe(lambda counters: self._totals.add(counters, self._clock.seconds()))
        news.child_up.subscribe(self._child_up)
        news.child_reported.subscribe(self._memory.reported)
        news.end_wanted.subscribe(self.shut_down)

    def check(self) -> None:
        """Whether this daemon could start here.

        :raises AlreadyRunning: if another one works on the state_dir.
        :raises StateDirUnusable: if that can't be used.
        """
        prepare(self._settings.daemon.state_dir)
        self._lock.check()

    def startService(self) -> None:
        """Take the lock, look for what was left behind, start the children.

        :raises AlreadyRunning: see `check`.
        :raises StateDirUnusable: see `check`.
        """
        prepare(self._settings.daemon.state_dir)
        self._lock.take()
        self._started = unix_time()
        self._watch = HangWatch(self._settings.daemon.hang_timeout, self._clock.seconds())
        super().startService()  # type: ignore[no-untyped-call]
        self._groups.start()
        self._looks.start(LOOK_EVERY, now=False)

    @inlineCallbacks
    def stopService(self) -> Any:
        """Drain and end all children, then let the lock go; fires when that is done."""
        self._ending = True
        self.log.info("stopping: children have {seconds} s to drain", seconds=self._settings.daemon.drain_timeout)
        drain_timeout = self._settings.daemon.drain_timeout
        yield self._groups.stop(drain_timeout)
        if self._looks.running:
            self._looks.stop()
        yield super().stopService()  # type: ignore[no-untyped-call]
        self._lock.release()

    def shut_down(self, reason: str) -> None:
        """End this process in good order."""
        if not self._ending:
            self._ending = True
            self.log.info("shutting down: {reason}", reason=reason)
            self._end()

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    @property
    def groups(self) -> Groups:
        """Its groups."""
        return self._groups

    @property
    def settled(self) -> bool:
        """Whether every group has come up, or is known to have failed."""
        return all(not group.slots or group.failed or any(group.up()) for group in self._groups.configured)

    @property
    def stopping(self) -> bool:
        """Whether it ends."""
        return self._ending

    @property
    def progressing(self) -> bool:
        """Whether every child that lives gives signs of life, or is being ended and not long overdue."""
        return all(
            self._watch.silent_for(child.last_beat) < self._watch.limit(child.loading) + BEYOND_HELP
            for _, child in self._groups.living()
        )

    def summary(self) -> str:
        """How it is, in one line."""
        if self._ending:
            return "stopping: jobs in hand get their time to end"
        failed = [group.name for group in self._groups.configured if group.failed]
        up = list(self._groups.up())
        children = sum(len(group.slots) for group in self._groups.configured)
        rate = sum(child.rate for child in up)
        away = sum(1 for child in up if child.report.get("trouble"))
        alone = f" ({away} with {'its' if away == 1 else 'their'} store away)" if away else ""
        broken = f"; failed: {', '.join(failed)} (see the log)" if failed else ""
        running = sum(self._in_flight().values())
        return f"{len(up)} of {children} children up{alone}, {running} jobs running, {rate:.1f}/s{broken}"

    def group(self, name: str) -> Group:
        """The group of that name.

        :raises KeyError: if none is configured.
        """
        return self._groups[name]

    def _make_group(self, group: GroupSettings) -> Group:
        delays = self._settings.queue.spawndelay, self._settings.daemon.respawn_max_delay
        return Group(self._launcher, group, *delays, self._recovery.died, self._news)

    def children_at_work(self) -> list[ChildProcess]:
        """The children that take requests."""
        return list(self._groups.configured_up())

    def apply(self, settings: Settings) -> None:
        """Go over to other settings, in which no key has changed that holds until this daemon's end."""
        old, self._settings = self._settings, settings
        if settings.daemon.hang_timeout != old.daemon.hang_timeout:
            self._watch = HangWatch(settings.daemon.hang_timeout, self._clock.seconds())
        self._memory.apply(settings)
        if self.running and not self._ending:
            self._groups.apply(settings)

    def retry(self) -> None:
        """Start at once what waits for its next start."""
        self._groups.retry()

    def _child_up(self, child: ChildProcess) -> None:
        self._recovery.attempt()
        for namespace, level in self.levels.changed.items():
            if child.spec.log_levels.get(namespace) != level:  # set while the child booted
                child.tell(SetLogLevel, namespace=namespace, level=level)

    def tell_children(self, command: type[Command], **arguments: Any) -> None:
        """Send a command to all children that take requests."""
        for child in self._groups.up():
            child.tell(command, **arguments)

    def set_log_level(self, namespace: str, level: str) -> None:
        """Log what comes from `namespace`, or from one within it, from `level` on, in this process and all children.

        :raises BadLogLevel: naming the levels that there are.
        """
        self.levels.set(namespace, level)
        self.tell_children(SetLogLevel, namespace=namespace, level=level)

    def status(self) -> Deferred[dict[str, Any]]:
        """What ``snqctl status`` shows of this daemon, with the raw counters ``[queue, site, enqueued, handled,
        retried, dead, in_flight, rate]``, and `claimed` and `unsettled` by queue; children get a second to report
        afresh.
        """
        fresh = [child.refresh().addTimeout(REPORT_TIMEOUT, self._clock) for child in self._groups.up()]
        asked: Deferred[Any] = DeferredList(fresh, consumeErrors=True)
        return asked.addCallback(lambda _: self._status())

    def _status(self) -> dict[str, Any]:
        daemon = {
            "id": self._settings.daemon.id,
            "pid": self._pid(),
            "version": VERSION,
            "started": self._started,
            "config": str(self._settings.path),
            "state": "stopping" if self._ending else "running",
        }
        groups = [group.status() for group in self._groups]
        by_queue = {name: self._by_queue(name) for name in ("claimed", "unsettled")}
        return {"daemon": daemon, "groups": groups, "counters": self._counter_rows(), **by_queue}

    def _by_queue(self, name: str) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for _, child in self._groups.living():
            sums.update(child.report.get(name, {}))
        return sums

    def _counter_rows(self) -> list[list[Any]]:
        in_flight = self._in_flight()
        now = self._clock.seconds()
        rows = [
            [
                queue,
                site,
                tally.enqueued,
                tally.handled,
                tally.retried,
                tally.dead,
                in_flight.pop((queue, site), 0),
                rate,
            ]
            for queue, site, total in self._totals.rows()
            for tally, rate in [(total.tally, total.rate(now))]
        ]
        return rows + [[queue, site, 0, 0, 0, 0, number, 0.0] for (queue, site), number in in_flight.items()]

    def _in_flight(self) -> dict[tuple[str, str], int]:
        sums: dict[tuple[str, str], int] = {}
        for _, child in self._groups.living():
            for queue, site, number in child.report.get("shares", ()):
                sums[queue, site] = sums.get((queue, site), 0) + number
        return sums

    def _look(self) -> None:
        lost = self._watch.look(self._clock.seconds())
        if lost:
            self.log.warn("this process did not run for {lost:.1f} s: its children are forgiven that time", lost=lost)
        self._memory.look()
        for slot, child in self._groups.living():
            silence = self._watch.silence(child.last_beat, child.loading)
            if silence is not None:
                self._end_hanging(slot, silence)

    def _end_hanging(self, slot: ChildSlot, silence: float) -> None:
        try:
            slot.hang(silence)
        except Exception:  # noqa: BLE001 - the other children must still be watched
            self.log.failure("child {id} hangs and can't be killed", id=slot.id)
