"""The soft memory limit: a child that reaches it is replaced, one at a time in each group; the parent minds itself."""

from __future__ import annotations

from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.config.settings import Settings
from snqd.daemon.child_process import ChildProcess
from snqd.daemon.child_slot import ChildSlot
from snqd.daemon.group import Group
from snqd.daemon.memory_total import Memory
from snqd.daemon.memory_watch import MemoryWatch, Sample, Verdict
from snqd.pipe.child_spec import SOLO

MEGABYTE = 1024**2
WORTH_A_LINE_BYTES = MEGABYTE
"""With ``debug_memory``: a change of so much is logged."""
OWN_GROWTH = 1.25
"""The parent's own memory is complained of again after it has grown so many times."""


class MemoryGuard:
    """Minds the memory of all processes of one daemon.

    :ivar limit_bytes: the soft limit of each process.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, memory: Memory, settings: Settings) -> None:
        self._clock = clock
        self._memory = memory
        self._not_before: dict[str, float] = {}
        self._logged: dict[str, tuple[str, int]] = {}
        self.limit_bytes = 0
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Mind it by these settings from now on; what was learned under another limit is forgotten."""
        self._settings = settings
        before, self.limit_bytes = self.limit_bytes, self._limit()
        if before != self.limit_bytes:
            self._watches: dict[str, MemoryWatch] = {}
            self._own_limit = self.limit_bytes

    def _limit(self) -> int:
        limit = self._settings.daemon.memory_limit_bytes
        if limit is None:
            groups = self._settings.groups.values()
            limit = self._memory.total() // (sum(group.children for group in groups) + 1)
        return self._settings.queue.softlimit.of(limit)

    def reported(self, group: Group, slot: ChildSlot, child: ChildProcess) -> None:
        """Look at a child's fresh report."""
        rss_bytes = child.report.get("rss_bytes")
        if rss_bytes is None or child.ready_at is None or slot.state != "up":
            return
        if self._settings.queue.debug_memory:
            self._debug(slot, child, rss_bytes)
        watch = self._watches.setdefault(group.name, MemoryWatch(self.limit_bytes))
        ready_for = self._clock.seconds() - child.ready_at
        verdict = watch.judge(Sample(child.spec.incarnation, rss_bytes, ready_for, child.report.get("settled", 0)))
        if verdict is Verdict.TOO_LOW:
            self._too_low(group.name, watch)
        elif verdict is Verdict.FULL:
            self._full(group, slot, child, rss_bytes)

    def _too_low(self, group: str, watch: MemoryWatch) -> None:
        self.log.error(
            "the soft memory limit of {limit} is below what a fresh child of group {group} needs, {need}: raise "
            "[queue] softlimit or [snqd] memory_limit, or run fewer children; "
            "until then a child is replaced at {trigger}",
            limit=in_megabytes(watch.limit_bytes),
            group=group,
            need=in_megabytes(watch.need_bytes),
            trigger=in_megabytes(watch.trigger_bytes),
        )

    def _full(self, group: Group, slot: ChildSlot, child: ChildProcess, rss_bytes: int) -> None:
        if group.stopping or child.report.get("state") == "shutdown":
            return
        if slot.role == SOLO:
            self._say_full(slot, child, rss_bytes, "it ends, and comes back when it is needed")
            child.stop()
        elif not group.replacements.under_way and self._clock.seconds() >= self._not_before.get(group.name, 0.0):
            self._say_full(slot, child, rss_bytes, "a fresh one takes its place")
            replaced = group.replacements.replace(slot.n, self._settings.daemon.drain_timeout)
            replaced.addErrback(partial(self._not_replaced, group, slot))

    def _say_full(self, slot: ChildSlot, child: ChildProcess, rss_bytes: int, what: str) -> None:
        self.log.warn(
            "child {id} (pid {pid}) has {rss} of memory, the soft limit is {limit}: {what}",
            id=slot.id,
            pid=child.pid,
            rss=in_megabytes(rss_bytes),
            limit=in_megabytes(self.limit_bytes),
            what=what,
        )

    def _not_replaced(self, group: Group, slot: ChildSlot, failure: Failure) -> None:
        if group.stopping:
            return
        delay = self._settings.daemon.respawn_max_delay
        self._not_before[group.name] = self._clock.seconds() + delay
        self.log.error(
            "child {id} has reached the soft memory limit and can't be replaced: {reason}; it works on, and the next "
            "attempt is made in {delay:g} s",
            id=slot.id,
            reason=failure.getErrorMessage(),
            delay=delay,
        )

    def _debug(self, slot: ChildSlot, child: ChildProcess, rss_bytes: int) -> None:
        incarnation, before = self._logged.get(slot.id, ("", 0))
        if incarnation != child.spec.incarnation:
            before = 0
        if abs(rss_bytes - before) >= WORTH_A_LINE_BYTES:
            self._logged[slot.id] = (child.spec.incarnation, rss_bytes)
            self.log.info(
                "child {id} (pid {pid}) has {rss} of memory, {change:+.1f} MB",
                id=slot.id,
                pid=child.pid,
                rss=in_megabytes(rss_bytes),
                change=(rss_bytes - before) / MEGABYTE,
            )

    def look(self) -> None:
        """Look at this process itself."""
        own = self._memory.own()
        if own >= self._own_limit:
            self._own_limit = int(own * OWN_GROWTH)
            self.log.error(
                "the daemon's own process has {rss} of memory, the soft limit of a process is {limit}: "
                "nothing replaces it, so restart the daemon at a quiet moment, or raise [queue] softlimit or "
                "[snqd] memory_limit",
                rss=in_megabytes(own),
                limit=in_megabytes(self.limit_bytes),
            )


def in_megabytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / MEGABYTE:.0f} MB"
