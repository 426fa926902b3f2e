"""Groups: all groups of a daemon, while the configuration adds and removes some."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from snqd.config.settings import GroupSettings, Settings
from snqd.daemon.child_process import ChildProcess
from snqd.daemon.child_slot import ChildSlot
from snqd.daemon.group import Group
from snqd.pipe.child_spec import group_of


class Groups:
    """Those that are configured, and those that are no more, until their last child is gone.

    :param make: makes a group that is not started yet.
    """

    def __init__(self, make: Callable[[GroupSettings], Group], settings: Settings) -> None:
        self._make = make
        self._groups = {name: make(group) for name, group in settings.groups.items()}
        self._leaving: dict[str, tuple[Group, Deferred[Any]]] = {}
        self._stopping = False

    def __getitem__(self, name: str) -> Group:
        return self._groups[name]

    @property
    def configured(self) -> Collection[Group]:
        """Those that are configured."""
        return self._groups.values()

    def __iter__(self) -> Iterator[Group]:
        """All that have children, perhaps."""
        yield from self._groups.values()
        yield from (group for group, _ in self._leaving.values())

    def start(self) -> None:
        """Start all children."""
        for group in self._groups.values():
            group.start()

    def stop(self, drain_timeout: float) -> Deferred[Any]:
        """Let all children drain and exit; fires when they are gone."""
        self._stopping = True
        return DeferredList([group.stop(drain_timeout) for group in self])

    def apply(self, settings: Settings) -> None:
        """Go over to the groups of `settings`, which are started already."""
        drain_timeout = settings.daemon.drain_timeout
        for name in self._groups.keys() - settings.groups.keys():
            self._let_go(self._groups.pop(name), drain_timeout)
        for name, group in settings.groups.items():
            if name in self._groups:
                delays = settings.queue.spawndelay, settings.daemon.respawn_max_delay
                self._groups[name].apply(group, *delays, drain_timeout)
            else:
                self._groups[name] = self._make(group)
                self._start_when_free(name)
        self._groups = {name: self._groups[name] for name in settings.groups}

    def _let_go(self, group: Group, drain_timeout: float) -> None:
        gone = group.stop(drain_timeout)
        self._leaving[group.name] = group, gone
        gone.addCallback(lambda _: self._leaving.pop(group.name))

    def _start_when_free(self, name: str) -> None:
        """Start a group, but not beside one of its name that is configured no more: it may be an exclusive one."""
        group = self._groups[name]

        def start(result: Any) -> Any:
            if self._groups.get(name) is group and not self._stopping:
                group.start()
            return result

        if name in self._leaving:
            self._leaving[name][1].addCallback(start)
        else:
            start(None)

    def living(self) -> Iterator[tuple[ChildSlot, ChildProcess]]:
        """The children that have a process."""
        return (each for group in self for each in list(group.living()))

    def up(self) -> Iterator[ChildProcess]:
        """The children that take requests."""
        return (child for group in self for child in group.up())

    def at_work(self) -> Iterator[ChildProcess]:
        """Those of them that do not wait for another process to go first."""
        return (child for child in self.up() if not child.waits)

    def configured_up(self) -> Iterator[ChildProcess]:
        """The same, but for those of groups that are configured no more."""
        return (child for group in self._groups.values() for child in group.up())

    def suspected(self, incarnation: str) -> None:
        """Suspects wait that ran in the dead process called `incarnation`."""
        name = group_of(incarnation, list(self._groups))
        # A group that is configured no more: its queues may belong to any other now.
        for group in [self._groups[name]] if name else self._groups.values():
            group.need_solo()

    def retry(self) -> None:
        """Start at once what waits for its next start."""
        for group in self._groups.values():
            group.retry()
