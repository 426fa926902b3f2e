"""SingleJobInsert: a program's single jobs on their way into PostgreSQL, as fast as an idle daemon takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from snqd.core.clocks import BootTime, boot_time
from snqd.core.job import Job
from snqd.stores.sql.dialects import CommitLost, first_line
from snqd.stores.sql.postgresql import INSERT_ONE, INSERT_ONE_TYPES, added, insert_one_arguments
from snqd.stores.sql.prepared import NAME, NotDone, PreparedStatement
from snqd.stores.sql.server import FRESH, SqlServer
from snqd.stores.sql.statements import Added

MOST_BYTES = 4096
"""A body has so many at most: in PostgreSQL's words it has twice as many."""


class SingleJobInsert:
    """Inserts by one prepared statement on a connection that it keeps, since the pool's and the driver's ways take
    longer than the server. For one thread at a time."""

    def __init__(self, server: SqlServer, boot_time: Callable[[], BootTime] = boot_time) -> None:
        self._server = server
        self._boot_time = boot_time
        self._statement = PreparedStatement(None, INSERT_ONE, INSERT_ONE_TYPES)
        self._connection: Connection | None = None
        self._used = 0.0

    def insert(self, jobs: Sequence[Job]) -> Added | None:
        """Add a single small job; None if nothing was done, and the common way is to be gone.

        :raises CommitLost: where nobody knows whether it was accepted.
        :raises StoreError: in words.
        """
        if len(jobs) != 1 or len(jobs[0].body) > MOST_BYTES or jobs[0].reason:
            return None
        connection = self._connected()
        try:
            rows = self._statement.ask_and_wait(connection, insert_one_arguments(jobs[0], ""))
        except NotDone:
            self._drop(connection)
            return None
        except Exception as error:
            self._drop(connection)
            raise CommitLost(f"{self._server.name}: {first_line(error)}") from error
        except BaseException:
            self._drop(connection)
            raise
        self._used = self._boot_time()
        return added(rows)

    def close(self) -> None:
        """Give the connection back; using it again is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Connection:
        if self._connection is not None and self._boot_time() - self._used > FRESH:
            self.close()  # the pool looks whether it is still there
        if self._connection is None:
            connection = self._server.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._prepare(connection)
            self._connection = connection
        return self._connection

    def _prepare(self, connection: Connection) -> None:
        if NAME not in connection.info:
            try:
                with self._server.errors_in_words():
                    self._statement.prepare(connection)
            except BaseException:
                self._drop(connection)
                raise
            connection.info[NAME] = True

    def _drop(self, connection: Connection) -> None:
        self._connection = None
        connection.invalidate()
        connection.close()
