"""Which store the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any

from snqd.config.settings import QueueSettings
from snqd.stores.interface import IStore
from snqd.stores.sqlite.store import SqliteStore


def make_store(
    reactor: Any,
    settings: QueueSettings,
    owner: str,
    suspects_of: Callable[[str], Collection[str]],
    random: Random,
) -> IStore:
    """A store for one process, not opened yet.

    :param owner: the process's name, new at each start.
    :param suspects_of: the ids of the jobs that the process of that name was running, by its crash ledger.
    """
    return SqliteStore(reactor, settings.db, owner, lease=settings.lease, suspects_of=suspects_of, random=random)
