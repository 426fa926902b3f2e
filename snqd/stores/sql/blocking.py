"""SqlQueue: the queue in a database on a server, for programs without a reactor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zope.interface import implementer

from snqd.core.errors import StoreError, Unconfirmed
from snqd.core.job import Job
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.doorbell import Ringer
from snqd.stores.interface import Depth, Pauses
from snqd.stores.sql.bells import BELLS
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.dialects import CommitLost
from snqd.stores.sql.postgresql import notify
from snqd.stores.sql.single_job_insert import SingleJobInsert
from snqd.stores.sql.statements import Added, in_batches


@implementer(IBlockingQueue)
class SqlQueue:
    """See :class:`~snqd.stores.blocking.IBlockingQueue`.

    :param state_dir: of the daemon, for its doorbells.
    """

    def __init__(self, url: str, state_dir: Path) -> None:
        self._database = SqlDatabase(url)
        self._server = self._database.server
        self._bells = state_dir / BELLS
        self._lone = SingleJobInsert(self._server) if self._server.postgresql else None

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """See :class:`IBlockingQueue`."""
        try:
            added = self._lone.insert(jobs) if self._lone is not None else None
            added = added or self._insert(jobs)
        except CommitLost as error:
            raise Unconfirmed(str(error), (), [job.id for job in jobs]) from error
        self._ring(added)

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """See :class:`IBlockingQueue`."""
        self._server.run(lambda connection: self._database.set_pause(connection, queue, site, paused))
        self._ring(None)

    def pauses(self) -> Pauses:
        """See :class:`IBlockingQueue`."""
        return self._server.run(self._database.pauses)

    def depths(self) -> list[Depth]:
        """See :class:`IBlockingQueue`."""
        return self._server.run(self._database.depths)

    def exists(self) -> bool:
        """See :class:`IBlockingQueue`."""
        return True

    def close(self) -> None:
        """See :class:`IBlockingQueue`."""
        if self._lone is not None:
            self._lone.close()
        self._server.close()

    def _insert(self, jobs: Sequence[Job]) -> Added:
        run = self._server.ask if len(in_batches(jobs)) == 1 else self._server.run
        return run(lambda connection: self._database.statements.insert(connection, jobs, ""))

    def _ring(self, added: Added | None) -> None:
        try:
            if self._server.postgresql:
                if added is not None and added.told:
                    return
                self._server.ask(lambda connection: notify(connection, "", added))
            else:
                ringer = Ringer(self._bells)
                ringer.ring()
                ringer.close()
        except (OSError, StoreError):
            return  # what was committed is found without the bell, a little later
