"""Group: the children that serve the same queues, and the solo child that suspects run in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from snqd.config.settings import GroupSettings
from snqd.daemon.child_process import ChildEnd, ChildProcess
from snqd.daemon.child_slot import ChildSlot
from snqd.daemon.launcher import Launcher
from snqd.daemon.replacement import Replacements
from snqd.daemon.restart_policy import RestartPolicy
from snqd.pipe import exit_codes
from snqd.pipe.child_spec import EXCLUSIVE, NORMAL, SOLO, daemon_of, is_first

_STATES = {"waiting": "waiting", "booting": "init", "killing": "hung", "leaving": "shutdown"}


class GroupNews(Protocol):
    """What a group tells that concerns the whole daemon."""

    def child_up(self, child: ChildProcess, /) -> None:
        """A child takes requests from now on."""

    def child_reported(self, group: Group, slot: ChildSlot, child: ChildProcess, /) -> None:
        """A child has a fresh report."""

    def end_wanted(self, reason: str, /) -> None:
        """A child asked for the end of the daemon."""


class Group:
    """Keeps the children of one group running.

    :param spawndelay: seconds before a child that ended is replaced.
    :param max_delay: the longest such wait.
    :param died: told the incarnation of a child that is gone, and the reason; gives how many jobs were running in it.
    :param news: told what concerns the whole daemon.
    :ivar replacements: of its children by fresh ones.
    :ivar stopping: whether it was told to stop.
    :ivar failed: whether none of its children could boot when it was tried last.
    """

    log = Logger()

    def __init__(
        self,
        launcher: Launcher,
        settings: GroupSettings,
        spawndelay: float,
        max_delay: float,
        died: Callable[[str, str], int],
        news: GroupNews,
    ) -> None:
        self._launcher = launcher
        self._settings = settings
        self._spawndelay = spawndelay
        self._max_delay = max_delay
        self._drain_timeout = 0.0
        self._died = died
        self._news = news
        self._came_up = False
        self._reason = ""
        self.name = settings.name
        self.failed = False
        self.stopping = False
        count = 1 if settings.exclusive else settings.children
        self.slots = [self.spare(n) for n in range(1, count + 1)]
        self._leaving: list[ChildSlot] = []
        self.solo = None if settings.exclusive else self._make_slot(0, SOLO)
        self.replacements = Replacements(self)

    def _make_slot(self, n: int, role: str) -> ChildSlot:
        policy = RestartPolicy(self._spawndelay, self._max_delay, self._launcher.random)
        return ChildSlot(self._launcher, self.name, n, role, policy, self)

    def start(self) -> None:
        """Start all children but the solo one; where they are many, not all at once."""
        for slot in self.slots:
            slot.start_in_turn()

    def stop(self, drain_timeout: float) -> Deferred[Any]:
        """Let all children drain and exit; fires when they are gone."""
        self.stopping = True
        return DeferredList([slot.stop(drain_timeout) for slot in self._places()])

    def need_solo(self) -> None:
        """Suspects wait to run alone; an exclusive group's only child takes them itself."""
        if self.solo is not None and not self.stopping:
            self.solo.need()

    def apply(self, settings: GroupSettings, spawndelay: float, max_delay: float, drain_timeout: float) -> None:
        """Go over to other settings: more children start, those that are too many drain and exit."""
        self._settings, self._spawndelay, self._max_delay = settings, spawndelay, max_delay
        self._drain_timeout = drain_timeout
        for slot in self._places():
            slot.set_pace(spawndelay, max_delay)
        if len(self.slots) != settings.children:
            self.replacements.run(self._resize).addErrback(
                lambda failure: self.log.failure("group {group} can't be resized", failure, group=self.name)
            )

    def _resize(self) -> None:
        count = self._settings.children
        surplus = self.slots[count:]
        del self.slots[count:]
        for slot in surplus:
            self._leaving.append(slot)
            slot.stop(self._drain_timeout).addCallback(self._left, slot)
        while len(self.slots) < count and not self.stopping:
            self.slots.append(self.spare(len(self.slots) + 1))
            self.slots[-1].start()

    def _left(self, _: None, slot: ChildSlot) -> None:
        self._leaving.remove(slot)

    def retry(self) -> None:
        """Start at once what waits for its next start."""
        for slot in self._places():
            slot.retry()

    def has(self, n: int) -> bool:
        """Whether there is a place `n`."""
        return n <= len(self.slots)

    def slot(self, n: int) -> ChildSlot:
        """What is in place `n`, from 1."""
        return self.slots[n - 1]

    def spare(self, n: int) -> ChildSlot:
        """A slot for place `n` that is in no place yet."""
        return self._make_slot(n, EXCLUSIVE if self._settings.exclusive else NORMAL)

    def install(self, slot: ChildSlot) -> None:
        """Put `slot` into its place."""
        self.slots[slot.n - 1] = slot

    def hands_over(self, slot: ChildSlot) -> bool:
        """Whether the child of `slot` runs what must not run twice at once."""
        return self._settings.exclusive or is_first(slot.n)

    def living(self) -> Iterator[tuple[ChildSlot, ChildProcess]]:
        """The children that have a process."""
        for slot in self._places():
            if slot.child is not None:
                yield slot, slot.child

    def up(self) -> Iterator[ChildProcess]:
        """The children that take requests."""
        return (child for slot, child in self.living() if slot.state == "up")

    def slot_ready(self, slot: ChildSlot, child: ChildProcess) -> None:
        """A child is up, so the group is no failure."""
        if self.failed:
            self.log.info("group {group} has come up", group=self.name)
        self._came_up, self.failed, self._reason = True, False, ""
        self._news.child_up(child)
        self.replacements.ready(slot)

    def slot_reported(self, slot: ChildSlot, child: ChildProcess) -> None:
        """A child was heard of."""
        self._news.child_reported(self, slot, child)
        if child.report.get("solo_waiting"):
            self.need_solo()

    def slot_at_work(self, child: ChildProcess) -> None:
        """A child takes requests that it has refused while it waited."""
        self._news.child_up(child)

    def slot_ended(self, slot: ChildSlot, child: ChildProcess, ending: ChildEnd) -> int:
        """A child is gone."""
        if ending.exit_code == exit_codes.SHUT_DOWN:
            self._news.end_wanted(f"child {slot.id} asked for it (exit code {ending.exit_code})")
        running = self._died(child.spec.incarnation, ending.cause)
        self._judge()
        self.replacements.ended(slot)
        return running

    def slowest(self, slot: ChildSlot) -> bool:
        """A group that failed from the beginning is tried slowly; for one that has worked, the wait grows."""
        return self.failed and not self._came_up

    def _judge(self) -> None:
        broken = [slot.error for slot in self.slots if slot.boot_failed]
        if self.stopping or len(broken) < len(self.slots) or not broken:
            return
        if broken[-1] != self._reason:
            self.log.error(
                "group {group} has failed: none of its children came up; "
                "they are tried again, ever more slowly, until what follows is repaired: {reason}",
                group=self.name,
                reason=broken[-1],
            )
        self.failed, self._reason = True, broken[-1]

    def status(self) -> dict[str, Any]:
        """The group for ``snqctl status``; `reason` and `error` say what is wrong, empty where nothing is."""
        children = [_child_status(slot) for slot in self._places() if slot.state not in ("resting", "gone")]
        return {
            "name": self.name,
            "state": self._state(),
            "reason": self._reason,
            "holder": self._holder(),
            "children": children,
        }

    def _holder(self) -> str | None:
        """The daemon that runs an exclusive group, None where that is not known."""
        if not self._settings.exclusive:
            return None
        reports = [child.report for child in self.up() if child.report]
        names = {report["holder"] for report in reports if report.get("holder")}
        if names:
            return daemon_of(names.pop(), self.name)
        # One that knows of no holder looks at no lease: the store is this daemon's alone.
        return self._launcher.daemon_id if any(report.get("holder") is None for report in reports) else None

    def _state(self) -> str:
        if self.stopping:
            return "stopping"
        if self.failed:
            return "failed"
        if not self.slots:
            return "elsewhere"
        return "running" if any(self.up()) else "starting"

    def _places(self) -> list[ChildSlot]:
        solo = [] if self.solo is None else [self.solo]
        return [*self.slots, *self.replacements.slots(), *self._leaving, *solo]


def _child_status(slot: ChildSlot) -> dict[str, Any]:
    child = slot.child
    report = child.report if child else {}
    return {
        "n": slot.n,
        "id": slot.id,
        "pid": child.pid if child else None,
        "state": _STATES.get(slot.state) or report.get("state", "listening"),
        "started": child.started if child else None,
        "restarts": max(slot.restarts, 0),
        "rss_bytes": report.get("rss_bytes"),
        "in_flight": report.get("in_flight", 0),
        "claimed": sum(report.get("claimed", {}).values()),
        "unsettled": sum(report.get("unsettled", {}).values()),
        "handled": report.get("handled", 0),
        "rate": child.rate if child else 0.0,
        "error": slot.error,
        "trouble": report.get("trouble"),
        "trouble_since": child.trouble_since if child else None,
        "managers": report.get("managers", {}),
    }
