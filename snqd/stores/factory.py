"""Which store and which morgue the configuration asks for. A store's modules are imported only if it is the one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import TYPE_CHECKING, Any

from snqd.config.group_sections import MAIN
from snqd.config.redis_address import RedisAddress
from snqd.config.settings import QueueSettings, Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.morgue.morgue import Morgue, SqliteMorgue
from snqd.stores.sqlite.blocking import EmbeddedQueue
from snqd.stores.sqlite.database import QueueDatabase

if TYPE_CHECKING:
    from snqd.stores.interface import IStore
    from snqd.stores.stomp.shared_state import SharedState
    from snqd.stores.stomp.topology import Topology

REDIS = "redis"
STOMP = "stomp"
"""Subsystems."""


def make_store(
    reactor: Any,
    settings: Settings,
    owner: str,
    suspects_of: Callable[[str], Collection[str]],
    random: Random,
    current: Callable[[], Settings] | None = None,
    bad_item: Callable[[str, str], object] = lambda queue, site: None,
) -> IStore:
    """A store for one process, not opened yet.

    :param owner: the process's name, new at each start.
    :param suspects_of: the ids of the jobs that the process of that name was running, by its crash ledger.
    :param current: the settings in force, where they may change: groups and breakouts follow them.
    :param bad_item: told the queue and site, as far as they are known, of each dead letter that the store makes of what
        nobody can read.
    """
    queue = settings.queue
    lease: dict[str, Any] = {"lease": queue.lease, "suspects_of": suspects_of, "random": random}
    if queue.subsystem == REDIS:
        from snqd.stores.redis.names import prefix_of
        from snqd.stores.redis.store import RedisStore

        return RedisStore(reactor, _redis(queue), prefix_of(queue.queue_basename), owner, **lease)
    if queue.subsystem == STOMP:
        from snqd.stores.morgue.writer import MorgueWriter
        from snqd.stores.stomp.brokers import brokers_of
        from snqd.stores.stomp.store import StompStore

        morgue = MorgueWriter(reactor, make_morgue(queue), queue.dead_letter_dir)
        brokers, notes = brokers_of(reactor, queue.stomp, queue.wire_of_jobs), _notes(queue)
        topology = _topology(current or (lambda: settings))
        return StompStore(reactor, brokers, topology, owner, notes, morgue, random, bad_item)
    if queue.db_file is None:
        from snqd.stores.sql.store import SqlStore

        return SqlStore(reactor, queue.db, settings.daemon.state_dir, owner, **lease)
    from snqd.stores.sqlite.store import SqliteStore

    return SqliteStore(reactor, queue.db_file, owner, **lease)


def make_control_listener(reactor: Any, settings: Settings, random: Random) -> IControlListener | None:
    """What hears commands to all daemons on the store, not started yet; None where none can be believed, or where the
    store is this daemon's alone.

    :raises ConfigError: if a file that it needs can't be read.
    """
    queue = settings.queue
    if not (queue.shared and queue.control_trusted):
        return None
    if queue.subsystem == REDIS:
        from snqd.stores.redis.control import RedisControlListener
        from snqd.stores.redis.names import prefix_of

        return RedisControlListener(reactor, _redis(queue), prefix_of(queue.queue_basename), random)
    if queue.subsystem == STOMP:
        from snqd.stores.stomp.control import StompControlListener

        return StompControlListener(reactor, queue.stomp, queue.control_channel, random)
    from snqd.stores.sql.control import SqlControlListener

    return SqlControlListener(reactor, queue.db)


def make_control_publisher(settings: Settings) -> IControlPublisher:
    """What tells all daemons on a store that is shared."""
    queue = settings.queue
    if queue.subsystem == REDIS:
        from snqd.stores.redis.blocking import RedisQueue
        from snqd.stores.redis.names import prefix_of

        return RedisQueue(_redis(queue), prefix_of(queue.queue_basename))
    if queue.subsystem == STOMP:
        from snqd.stores.stomp.control import StompControlPublisher

        return StompControlPublisher(queue.stomp, queue.control_channel)
    from snqd.stores.sql.control_table import ControlTable

    return ControlTable(queue.db)


def make_queue(settings: Settings) -> IBlockingQueue:
    """The store for a program without a reactor, not opened yet."""
    queue = settings.queue
    if queue.subsystem == REDIS:
        from snqd.stores.redis.blocking import RedisQueue
        from snqd.stores.redis.names import prefix_of

        return RedisQueue(_redis(queue), prefix_of(queue.queue_basename))
    if queue.subsystem == STOMP:
        from snqd.stores.stomp.blocking import StompQueue

        return StompQueue(queue.stomp, _topology(lambda: settings), _notes(queue), queue.wire_of_jobs)
    if queue.db_file is None:
        from snqd.stores.sql.blocking import SqlQueue

        return SqlQueue(queue.db, settings.daemon.state_dir)
    return EmbeddedQueue(QueueDatabase(queue.db_file))


def make_morgue(settings: QueueSettings) -> Morgue:
    """The morgue, not opened yet."""
    if settings.morgue_file is None:
        from snqd.stores.morgue.sql_morgue import SqlMorgue

        return SqlMorgue(settings.morgue)
    return SqliteMorgue(settings.morgue_file)


def _redis(settings: QueueSettings) -> RedisAddress:
    assert settings.redis is not None  # the configuration sees to it
    return settings.redis


def _topology(current: Callable[[], Settings]) -> Topology:
    from snqd.stores.stomp.topology import Topology

    def group_of(queue: str) -> str:
        group = current().group_of(queue)
        return MAIN if group is None else group.name

    def is_served(queue: str) -> bool:
        return current().group_of(queue) is not None

    return Topology(current().queue.queue_basename, group_of, lambda: current().queue.breakout, is_served)


def _notes(settings: QueueSettings) -> SharedState:
    if settings.morgue_file is None:
        from snqd.stores.stomp.sql_shared_state import SqlSharedState

        return SqlSharedState(settings.morgue)
    from snqd.stores.stomp.shared_state import FileSharedState

    return FileSharedState(settings.morgue_file)
