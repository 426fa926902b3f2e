"""Which store and which morgue the configuration asks for. A store's modules are imported only if it is the one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import TYPE_CHECKING, Any

from snqd.config.settings import QueueSettings, Settings
from snqd.stores.blocking import BlockingQueue, EmbeddedQueue
from snqd.stores.morgue import Burials, Morgue
from snqd.stores.sqlite.database import QueueDatabase

if TYPE_CHECKING:
    from snqd.stores.interface import IStore


def make_store(
    reactor: Any,
    settings: Settings,
    owner: str,
    suspects_of: Callable[[str], Collection[str]],
    random: Random,
) -> IStore:
    """A store for one process, not opened yet.

    :param owner: the process's name, new at each start.
    :param suspects_of: the ids of the jobs that the process of that name was running, by its crash ledger.
    """
    queue = settings.queue
    if queue.db_file is None:
        from snqd.stores.sql.store import SqlStore

        return SqlStore(
            reactor,
            queue.db,
            settings.daemon.state_dir,
            owner,
            lease=queue.lease,
            suspects_of=suspects_of,
            random=random,
        )
    from snqd.stores.sqlite.store import SqliteStore

    return SqliteStore(reactor, queue.db_file, owner, lease=queue.lease, suspects_of=suspects_of, random=random)


def make_queue(settings: Settings) -> BlockingQueue:
    """The store for a program without a reactor, not opened yet."""
    queue = settings.queue
    if queue.db_file is None:
        from snqd.stores.sql.blocking import SqlQueue

        return SqlQueue(queue.db, settings.daemon.state_dir)
    return EmbeddedQueue(QueueDatabase(queue.db_file))


def make_morgue(settings: QueueSettings) -> Burials:
    """The morgue, not opened yet."""
    if settings.morgue_file is None:
        from snqd.stores.sql.morgue import SqlMorgue

        return SqlMorgue(settings.morgue)
    return Morgue(settings.morgue_file)
