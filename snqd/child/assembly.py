"""Assembly: the one place that knows every part of a child, and puts them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from snqd.child.command_listener import CommandListener
from snqd.child.idle_sites import IdleSites
from snqd.child.once_in_farm import OnceInFarm
from snqd.child.parts import Parent, Parts
from snqd.child.site_managers import SiteManagers
from snqd.child.switch import Following, NothingPrepared, Participant, Prepared
from snqd.child.unknown_sites import UnknownSites
from snqd.config.group_sections import MAIN
from snqd.config.schema import MOST_AT_ONCE
from snqd.config.settings import HandlerSettings, Settings
from snqd.config.values import GNUSOCIAL_DB, GNUSOCIAL_REDIS
from snqd.core.clocks import unix_time
from snqd.core.counters import Counters
from snqd.core.errors import NoHandler, UnknownSite
from snqd.core.fair_turn import FairTurn
from snqd.core.job import JSON, Job
from snqd.handlers.registry import HandlerRegistry
from snqd.handlers.running_job import JobContext
from snqd.io.context import ChildServices
from snqd.io.enqueuer import Enqueuer, no_queue
from snqd.io.entry_points import Place, third_party_managers, warn_of_misplaced
from snqd.io.interface import IIoManager
from snqd.io.io_master import IoMaster
from snqd.io.reports import ManagerReports
from snqd.monitor.ping import SwitchedPinger, make_pinger
from snqd.pipe.child_spec import EXCLUSIVE, NORMAL, SOLO, ChildSpec
from snqd.pipe.commands import Recover, Responders, Wake
from snqd.pipe.crash_ledger import LEDGERS, CrashLedger, read_ledger
from snqd.queues.queue_manager import ManagerParts, QueueManager
from snqd.queues.settler import Settler
from snqd.queues.slots import Slots
from snqd.queues.solo import ExclusiveQueueManager, SoloQueueManager
from snqd.sites.registry import SiteRegistry
from snqd.stores.factory import control_channel_of, subsystem_of
from snqd.stores.interface import Claimed
from snqd.stores.morgue.subsystem import make_morgue
from snqd.stores.morgue.writer import MorgueWriter
from snqd.stores.subsystem import StoreContext
from snqd.wire.own import check_body

_WITHOUT_QUEUES: Responders = {Recover: lambda owner, suspects, cause: 0, Wake: lambda: None}
MANAGERS = {NORMAL: QueueManager, EXCLUSIVE: ExclusiveQueueManager, SOLO: SoloQueueManager}


def build(reactor: Any, settings: Settings, spec: ChildSpec, parent: Parent) -> Parts:
    """Put a child's I/O managers together: its queue manager, and those that installed packages bring (in a solo child
    none of these).

    :raises SnqdError: a boot failure, whose text says what to do.
    """
    base = _Base(reactor, settings, spec, parent)
    queueing = _Queueing(base) if settings.queue.enabled else None
    managers: list[IIoManager] = queueing.managers if queueing else []
    if queueing and spec.first and spec.group == MAIN:
        managers = [*managers, *queueing.foreign()]
    ear = base.command_listener()
    managers = [*managers, *([ear] if ear else [])]
    services = _services(base, queueing)
    place = None if spec.role == SOLO else Place(spec.group, spec.first)
    for_sites = SiteManagers(services, settings, place)
    managers = [*managers, *_plugin_managers(services, settings, place), *for_sites.make(settings.sites)]
    once = base.once.keeper(managers)
    managers = [*([once] if once else []), *managers]
    io_master = IoMaster(reactor, managers, base.pinger.state, reports=services.reports.latest)

    participants: list[Participant] = [
        Following(base.use),
        Following(base.sites.replace),
        Following(lambda new: base.pinger.switch(new.queue.monitor)),
        *(queueing.participants() if queueing else []),
        Following(lambda new: for_sites.follow(new, io_master)),
    ]
    return Parts(io_master, base.counters, queueing.at_work() if queueing else _WITHOUT_QUEUES, participants, once)


def _services(base: _Base, queueing: _Queueing | None) -> ChildServices:
    """For the I/O managers of installed packages."""

    def settings() -> Settings:
        return base.settings

    put = no_queue(settings) if queueing is None else queueing.store.enqueue
    enqueuer = Enqueuer(settings, base.sites, put, base.enqueued, base.missed_sites.look_again)
    return ChildServices(base.reactor, settings, base.sites, enqueuer, ManagerReports())


def _plugin_managers(services: ChildServices, settings: Settings, place: Place | None) -> Sequence[IIoManager]:
    """Those that installed packages bring, but for sites' own; one child says which have no place at all."""
    if place is None:
        return ()
    if place == Place(MAIN, first=True):
        warn_of_misplaced(settings.groups)
    return third_party_managers(services, place)


class _Base:
    """What everything else in a child is made from.

    :ivar settings: those in force.
    """

    def __init__(self, reactor: Any, settings: Settings, spec: ChildSpec, parent: Parent) -> None:
        self.reactor = reactor
        self.settings = settings
        self.spec = spec
        self.sites = SiteRegistry(settings)
        self.pinger = SwitchedPinger(lambda target: make_pinger(reactor, target, spec.id), settings.queue.monitor)
        self.counters = Counters()
        self.random = Random()
        self.parent = parent
        self.once = OnceInFarm(reactor, settings, spec)
        self.missed_sites = UnknownSites(reactor, parent.refresh_sites)

    def use(self, settings: Settings) -> None:
        """Go over to `settings`; a store looks at them at each need."""
        self.settings = settings

    def command_listener(self) -> CommandListener | None:
        """What hears commands to all daemons, in every child that is always there: while one is away, others hear."""
        if self.spec.role == SOLO or not self.settings.queue.control_trusted:
            return None
        channel = control_channel_of(self.settings)
        if channel is None:
            return None
        listener = channel.control_listener(self.reactor, self.random)
        # Whatever was missed before it listens, sites are what it was about.
        return CommandListener(listener, self.parent.heard, self.parent.refresh_sites)

    def handlers(self, settings: Settings) -> dict[str, HandlerSettings]:
        """Those of this child's group."""
        return {queue: settings.handlers[queue] for queue in settings.groups[self.spec.group].queues}

    def check_target(self, site: str, queue: str) -> None:
        """
        :raises UnknownSite, NoHandler: where no job can be enqueued.
        """
        settings = self.settings
        if site not in settings.sites:
            raise UnknownSite(f"no job can be enqueued for site {site}: it is not configured in {settings.path}")
        if queue not in settings.handlers:
            raise NoHandler(f"no job can be enqueued on queue {queue}: {settings.path} has no [handlers] {queue}")

    def check_body(self, body: bytes) -> None:
        """
        :raises BadPayload, PayloadTooLarge: where a payload in JSON can't be written as ``[queue] wire`` asks for.
        """
        check_body(body, JSON, self.settings.queue.wire_of_jobs)

    def enqueued(self, job: Job) -> None:
        """Count a job that an I/O manager has put into the store, and tell the monitor."""
        self.counters.of(job.queue, job.site).enqueued += 1
        known = self.settings.sites.get(job.site)
        self.pinger.counter("enqueued", job.queue, known.server if known is not None else "")

    def bad_item(self, queue: str, site: str) -> None:
        """Count what is a dead letter since nobody can read it, and tell the monitor."""
        known = self.settings.sites.get(site)
        self.counters.settled += 1
        self.counters.of(queue, site).dead += 1
        self.pinger.counter("baditem", queue, known.server if known is not None else "")

    def site_weight(self, nickname: str) -> float:
        """The site's, 1 for one that is not configured."""
        site = self.settings.sites.get(nickname)
        return site.weight if site is not None else 1.0

    def queue_weight(self, queue: str) -> float:
        """The queue's, 1 for one whose last jobs run while it is configured no more."""
        handler = self.settings.handlers.get(queue)
        return handler.weight if handler is not None else 1.0


class _Queueing:
    """A child's queue manager with all that it needs."""

    def __init__(self, base: _Base) -> None:
        settings, spec = base.settings, base.spec
        handlers = base.handlers(settings)
        self._base = base
        self.handlers = HandlerRegistry(base.reactor, handlers)
        self.handlers.load()
        self._children = settings.daemon.state_dir / LEDGERS
        self._morgue = MorgueWriter(base.reactor, make_morgue(settings.queue), settings.queue.dead_letter_dir)
        self.store = subsystem_of(settings).store(
            StoreContext(
                base.reactor,
                spec.incarnation,
                self._suspects_of,
                base.random,
                lambda: base.settings,
                base.bad_item,
            )
        )
        # Room for the most that [queue] concurrency may ever allow, since it can change while this process runs.
        self._ledger = CrashLedger(self._ledger_of(spec.incarnation), spec.incarnation, MOST_AT_ONCE)
        equipment = ManagerParts(
            reactor=base.reactor,
            store=self.store,
            settler=Settler(base.reactor, self.store, self._morgue, base.counters, base.pinger, base.random),
            handlers=self.handlers,
            sites=base.sites,
            ledger=self._ledger,
            surroundings=JobContext(base.check_target, unix_time, base.check_body),
            queues=_ordered(handlers),
            policy=settings.queue.retry,
            random=base.random,
            close=self._close,
            site_missed=base.missed_sites.missed,
            may_begin=base.once.may_begin(),
        )
        self._slots = Slots(*_limits(settings, handlers))
        fair_turn: FairTurn[Claimed] = FairTurn(base.site_weight, base.queue_weight)
        self.manager = MANAGERS[spec.role](equipment, self._slots, fair_turn)
        self.managers: list[IIoManager] = [self.manager, IdleSites(base.reactor, base.sites, self.handlers)]

    def participants(self) -> list[Participant]:
        """Those that follow the configuration: handlers before what runs them."""
        return [self, Following(self._follow)]

    def prepare(self, settings: Settings) -> Prepared:
        """Make the handlers that `settings` need.

        :raises HandlerLoadError: for the first that can't be made.
        """
        if settings.handlers is self._base.settings.handlers:
            return NothingPrepared()
        return self.handlers.prepare(self._base.handlers(settings))

    def _follow(self, settings: Settings) -> None:
        handlers = self._base.handlers(settings)
        self._slots.set_limits(*_limits(settings, handlers))
        self.manager.serve(_ordered(handlers), settings.queue.retry)

    def at_work(self) -> Responders:
        """By command what does it, once the store is open."""
        return {Recover: self.store.recover, Wake: self.manager.wake}

    def foreign(self) -> Iterator[IIoManager]:
        """What takes jobs over from other programs' queues."""
        kinds = self._base.settings.queue.foreign
        if GNUSOCIAL_DB in kinds:
            yield self._queue_item_tables()
        if GNUSOCIAL_REDIS in kinds:
            yield self._gnusocial_lists()

    # Imported only where it is wanted.

    def _queue_item_tables(self) -> IIoManager:
        from snqd.gnusocial.queue_item_manager import QueueItemTables
        from snqd.gnusocial.queue_item_poller import Outlets

        outlets = Outlets(self.store.enqueue, self.store.depths, self._morgue.bury, self._base.bad_item)
        return QueueItemTables(self._base.reactor, lambda: self._base.settings, outlets)

    def _gnusocial_lists(self) -> IIoManager:
        from snqd.gnusocial.redis_list_manager import GnuSocialLists
        from snqd.gnusocial.redis_lists import ForeignLists
        from snqd.stores.redis.interface import IScriptRunner

        lists = ForeignLists(IScriptRunner(self.store).ask)  # the configuration refuses them on other stores
        return GnuSocialLists(self._base.sites, lists, self._morgue, self._base.bad_item)

    def _ledger_of(self, incarnation: str) -> Path:
        return self._children / f"{incarnation}.ledger"

    def _suspects_of(self, incarnation: str) -> list[str]:
        try:
            return read_ledger(self._ledger_of(incarnation)).started
        except FileNotFoundError:
            return []

    def _close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._closing())

    async def _closing(self) -> None:
        await self.handlers.close()
        await self._morgue.close()
        await self._base.pinger.close()
        await self.store.close()
        # Only now: a store that could not take back what it handed out leaves that to whoever reads the ledger.
        self._ledger.close()


def _ordered(handlers: Mapping[str, HandlerSettings]) -> dict[str, bool]:
    return {queue: handler.ordered for queue, handler in handlers.items()}


def _limits(settings: Settings, handlers: Mapping[str, HandlerSettings]) -> tuple[int, dict[str, int]]:
    every = settings.queue.concurrency
    limits = {queue: handler.concurrency or every for queue, handler in handlers.items()}
    # What has no thread to run in had better wait in the store, where other processes find it.
    threads = {queue: handler.threads for queue, handler in handlers.items() if handler.threads}
    return every, {queue: min(limit, threads.get(queue, limit)) for queue, limit in limits.items()}
