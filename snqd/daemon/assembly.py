"""Assembly: the one place that knows every part of a child, and puts them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from snqd.config.settings import HandlerSettings, Settings
from snqd.core.counters import Counters
from snqd.core.errors import NoHandler, UnknownSite
from snqd.core.fair_turn import FairTurn
from snqd.daemon.child_spec import EXCLUSIVE, NORMAL, SOLO, ChildSpec
from snqd.daemon.parts import Parts
from snqd.daemon.state_dir import CHILDREN
from snqd.handlers.registry import HandlerRegistry
from snqd.handlers.running_job import Surroundings
from snqd.io.entry_points import third_party_managers
from snqd.io.interface import IIoManager, IoContext
from snqd.io.io_master import IoMaster
from snqd.io.ping import NoPinger, Pinger, make_pinger
from snqd.queues.crash_ledger import CrashLedger, read_remains
from snqd.queues.queue_manager import Equipment, QueueManager
from snqd.queues.settler import Settler
from snqd.queues.slots import Slots
from snqd.queues.solo import ExclusiveQueueManager, SoloQueueManager
from snqd.sites.registry import SiteRegistry
from snqd.stores.factory import make_morgue, make_store
from snqd.stores.interface import Claimed
from snqd.stores.morgue_writer import MorgueWriter

MANAGERS = {NORMAL: QueueManager, EXCLUSIVE: ExclusiveQueueManager, SOLO: SoloQueueManager}


def build(reactor: Any, settings: Settings, spec: ChildSpec) -> Parts:
    """Put a child's I/O managers together: its queue manager, and those that installed packages bring (in a solo child
    none of these).

    :raises SnqdError: a boot failure, whose text says what to do.
    """
    base = _Base(reactor, settings, spec, SiteRegistry(settings), make_pinger(reactor, settings.queue.monitor, spec.id))
    parts = _Queueing(base) if settings.queue.enabled else None
    managers: list[IIoManager] = [parts.manager] if parts else []
    if spec.role != SOLO:
        context = IoContext(reactor, settings, base.sites)
        managers += third_party_managers(context, list(base.sites.nicknames()), spec.single)
    io_master = IoMaster(reactor, managers, base.pinger.state)
    if parts is None:
        return Parts(io_master, base.counters, lambda owner, suspects, cause: succeed(0), lambda: None)
    return Parts(io_master, base.counters, parts.store.recover, parts.manager.wake)


@attrs.frozen
class _Base:
    """What everything else in a child is made from."""

    reactor: Any
    settings: Settings
    spec: ChildSpec
    sites: SiteRegistry
    pinger: Pinger | NoPinger
    counters: Counters = attrs.field(factory=Counters)
    random: Random = attrs.field(factory=Random)


class _Queueing:
    """A child's queue manager with all that it needs."""

    def __init__(self, base: _Base) -> None:
        settings, spec = base.settings, base.spec
        group = settings.groups[spec.group]
        handlers = {queue: settings.handlers[queue] for queue in group.queues}
        self._pinger = base.pinger
        self._handlers = HandlerRegistry(base.reactor, handlers)
        self._handlers.load()
        self._children = settings.daemon.state_dir / CHILDREN
        self._morgue = MorgueWriter(base.reactor, make_morgue(settings.queue), settings.queue.dead_letter_dir)
        self.store = make_store(base.reactor, settings, spec.incarnation, self._suspects_of, base.random)
        ledger = self._ledger_of(spec.incarnation)
        self._ledger = CrashLedger(ledger, spec.incarnation, settings.queue.concurrency)
        equipment = Equipment(
            reactor=base.reactor,
            store=self.store,
            settler=Settler(base.reactor, self.store, self._morgue, base.counters, base.pinger, base.random),
            handlers=self._handlers,
            sites=base.sites,
            ledger=self._ledger,
            surroundings=Surroundings(_target_check(settings), time.time),
            queues={queue: handler.ordered for queue, handler in handlers.items()},
            policy=settings.queue.retry,
            random=base.random,
            close=self._close,
        )
        self.manager = MANAGERS[spec.role](equipment, _slots(settings, handlers), _fair_turn(settings))

    def _ledger_of(self, incarnation: str) -> Path:
        return self._children / f"{incarnation}.ledger"

    def _suspects_of(self, incarnation: str) -> list[str]:
        try:
            return read_remains(self._ledger_of(incarnation)).started
        except FileNotFoundError:
            return []

    def _close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._closing())

    async def _closing(self) -> None:
        await self._handlers.close()
        await self._morgue.close()
        await self._pinger.close()
        await self.store.close()
        # Only now: a store that could not take back what it handed out leaves that to whoever reads the ledger.
        self._ledger.close()


def _slots(settings: Settings, handlers: Mapping[str, HandlerSettings]) -> Slots:
    every = settings.queue.concurrency
    limits = {queue: handler.concurrency or every for queue, handler in handlers.items()}
    # What has no thread to run in had better wait in the store, where other processes find it.
    threads = {queue: handler.threads for queue, handler in handlers.items() if handler.threads}
    return Slots(every, {queue: min(limit, threads.get(queue, limit)) for queue, limit in limits.items()})


def _fair_turn(settings: Settings) -> FairTurn[Claimed]:
    def site_weight(nickname: str) -> float:
        site = settings.sites.get(nickname)
        return site.weight if site is not None else 1.0

    return FairTurn(site_weight, lambda queue: settings.handlers[queue].weight)


def _target_check(settings: Settings) -> Callable[[str, str], None]:
    def check(site: str, queue: str) -> None:
        if site not in settings.sites:
            raise UnknownSite(f"no job can be enqueued for site {site}: it is not configured in {settings.path}")
        if queue not in settings.handlers:
            raise NoHandler(f"no job can be enqueued on queue {queue}: {settings.path} has no [handlers] {queue}")

    return check
