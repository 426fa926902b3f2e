"""Which store and which morgue the configuration asks for. A store's modules are imported only if it is the one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from snqd.config.settings import QueueSettings, Settings
from snqd.stores.blocking import BlockingQueue, EmbeddedQueue
from snqd.stores.morgue import Morgue
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
    from snqd.stores.sqlite.store import SqliteStore

    queue = settings.queue
    return SqliteStore(reactor, _file(queue.db_file), owner, lease=queue.lease, suspects_of=suspects_of, random=random)


def make_queue(settings: Settings) -> BlockingQueue:
    """The store for a program without a reactor, not opened yet."""
    return EmbeddedQueue(QueueDatabase(_file(settings.queue.db_file)))


def make_morgue(settings: QueueSettings) -> Morgue:
    """The morgue, not opened yet."""
    return Morgue(_file(settings.morgue_file))


def _file(path: Path | None) -> Path:
    assert path is not None  # the configuration knows no other database yet
    return path
