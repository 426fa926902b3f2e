"""SqlSubsystem: the door to the store in a database on a server."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from snqd.config.settings import Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.interface import IStore, Promises
from snqd.stores.subsystem import (
    IControlChannel,
    ISubsystem,
    StoreContext,
    database_place,
    notes_unless_read_by_others,
    probe,
)


@implementer(ISubsystem, IControlChannel)
@attrs.frozen
class SqlSubsystem:
    """Jobs in PostgreSQL or MariaDB; commands are rows of a table there."""

    settings: Settings
    name = "PostgreSQL, MariaDB"

    @property
    def promises(self) -> Promises:
        """See :attr:`ISubsystem.promises`."""
        from snqd.stores.sql.store import SqlStore

        return SqlStore.promises

    @property
    def place(self) -> str:
        """See :attr:`ISubsystem.place`."""
        return database_place(self.settings.queue.db)

    def store(self, context: StoreContext) -> IStore:
        """See :meth:`ISubsystem.store`."""
        from snqd.stores.sql.store import SqlStore

        return SqlStore(
            context.reactor,
            self.settings.queue.db,
            self.settings.daemon.state_dir,
            context.owner,
            lease=self.settings.queue.lease,
            suspects_of=context.suspects_of,
            random=context.random,
        )

    def blocking_queue(self) -> IBlockingQueue:
        """See :meth:`ISubsystem.blocking_queue`."""
        from snqd.stores.sql.blocking import SqlQueue

        return SqlQueue(self.settings.queue.db, self.settings.daemon.state_dir)

    def problems(self) -> Iterable[str]:
        """See :meth:`ISubsystem.problems`."""
        return probe(self.blocking_queue())

    def notes(self) -> Iterable[tuple[str, str]]:
        """See :meth:`ISubsystem.notes`."""
        return notes_unless_read_by_others(self.settings.queue)

    def control_listener(self, reactor: Any, random: Random) -> IControlListener:
        """See :meth:`IControlChannel.control_listener`."""
        from snqd.stores.sql.control import SqlControlListener

        return SqlControlListener(reactor, self.settings.queue.db)

    def farm_leases(self) -> IFarmLeases:
        """See :meth:`IControlChannel.farm_leases`."""
        from snqd.stores.sql.farm_lease_table import FarmLeaseTable

        return FarmLeaseTable(self.settings.queue.db)

    def control_publisher(self) -> IControlPublisher:
        """See :meth:`IControlChannel.control_publisher`."""
        from snqd.stores.sql.control_table import ControlTable

        return ControlTable(self.settings.queue.db)
