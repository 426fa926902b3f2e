"""SqliteSubsystem: the door to the embedded store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs
from zope.interface import implementer

from snqd.config.settings import Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.interface import IStore, Promises
from snqd.stores.subsystem import ISubsystem, StoreContext, database_place, notes_unless_read_by_others, probe


@implementer(ISubsystem)
@attrs.frozen
class SqliteSubsystem:
    """Jobs in one SQLite file, of this host's daemon alone: there is no control channel."""

    settings: Settings
    name = "SQLite"

    @property
    def promises(self) -> Promises:
        """See :attr:`ISubsystem.promises`."""
        from snqd.stores.sqlite.store import SqliteStore

        return SqliteStore.promises

    @property
    def place(self) -> str:
        """See :attr:`ISubsystem.place`."""
        return database_place(self.settings.queue.db)

    def store(self, context: StoreContext) -> IStore:
        """See :meth:`ISubsystem.store`."""
        from snqd.stores.sqlite.store import SqliteStore

        return SqliteStore(
            context.reactor,
            self._file,
            context.owner,
            lease=self.settings.queue.lease,
            suspects_of=context.suspects_of,
            random=context.random,
        )

    def blocking_queue(self) -> IBlockingQueue:
        """See :meth:`ISubsystem.blocking_queue`."""
        from snqd.stores.sqlite.blocking import EmbeddedQueue
        from snqd.stores.sqlite.database import QueueDatabase

        return EmbeddedQueue(QueueDatabase(self._file))

    def problems(self) -> Iterable[str]:
        """See :meth:`ISubsystem.problems`."""
        return probe(self.blocking_queue())

    def notes(self) -> Iterable[tuple[str, str]]:
        """See :meth:`ISubsystem.notes`."""
        return notes_unless_read_by_others(self.settings.queue)

    @property
    def _file(self) -> Path:
        path = self.settings.queue.db_file
        assert path is not None  # else the factory has chosen another door
        return path
