"""QueueItems: the ``queue_item`` tables of GNU social's sites on one database server, for one account; blocking.

PHP daemons claim a row by writing its `claimed`, and delete it when it is handled. Here a row that nobody has claimed
is locked and deleted, kept elsewhere by whoever asked for it, and only then is that committed. A PHP daemon that wants
to claim it meanwhile waits for the lock, finds the row gone, and so knows, as it always does, that it came too late.
Never do both have the same row, and what a process that dies had taken is there again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import attrs
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from snqd.config.database_url import connect_args
from snqd.core.clocks import unix_time
from snqd.core.errors import StoreError
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.dialects import Conflict, LoginRefused, dialect_of

ROWS_OF_A_TABLE = 200
ROWS_AT_ONCE = 1000
BYTES_AT_ONCE = 16 * 1024 * 1024
"""Of one haul; its first row may have more."""
OTHERS_SHOWN = 8
LOCK_TIMEOUT = 3
"""Seconds to wait for a row that another program has locked."""

T = TypeVar("T")


@attrs.frozen
class ItemTable:
    """One site's table.

    :ivar site: the site's nickname.
    :ivar database: its name.
    :ivar queues: the transports whose rows are taken; others are left alone.
    """

    site: str
    database: str
    queues: tuple[str, ...]


@attrs.frozen
class QueueItem:
    """One row.

    :ivar created: as it stands there, UTC.
    :ivar created_at: the same as Unix seconds; now, where it makes no sense.
    """

    table: ItemTable
    id: int
    transport: str
    created: str
    created_at: float
    frame: bytes


Failed = list[tuple[ItemTable, StoreError]]


@attrs.frozen
class QueueItemScan:
    """Which tables have rows to take, and which ones can't be read."""

    found: list[ItemTable] = attrs.field(factory=list)
    failed: Failed = attrs.field(factory=list)


@attrs.frozen
class LockedRows:
    """Rows that are deleted when :meth:`QueueItems.commit` is called, and back after :meth:`QueueItems.release`.

    :ivar visited: how many of the tables were come to before there were rows enough.
    """

    items: list[QueueItem] = attrs.field(factory=list)
    failed: Failed = attrs.field(factory=list)
    visited: int = 0


@attrs.frozen
class Tidied:
    """How many stale claims were freed, and the transports of rows that wait and are not taken."""

    freed: int
    others: list[str]


class QueueItems:
    """One connection. It is made by its first use, and again after one that failed with ConnectionLost.

    Every method but `close` raises :class:`~snqd.core.errors.StoreError`; :func:`is_lost` tells those that concern all
    tables alike.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._postgresql = url.get_backend_name() == "postgresql"
        self.name = url.render_as_string(hide_password=True)
        self._dialect = dialect_of(url.get_backend_name())
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._sql = _Statements(self._postgresql)

    def connect(self) -> None:
        """Log in, unless that is done."""
        if self._connection is None:
            with self._in_words():
                self._connection = self._made().connect()

    def look(self, tables: Sequence[ItemTable]) -> QueueItemScan:
        """Which of `tables` have rows to take; one round trip, unless there is one that can't be read."""
        try:
            return QueueItemScan(self._run(lambda connection: self._look(connection, tables)))
        except StoreError as error:
            if is_lost(error):
                raise
            if len(tables) == 1:
                return QueueItemScan([], [(tables[0], error)])
        half = len(tables) // 2
        first, second = self.look(tables[:half]), self.look(tables[half:])
        return QueueItemScan(first.found + second.found, first.failed + second.failed)

    def take(self, tables: Sequence[ItemTable]) -> LockedRows:
        """Lock and delete rows of `tables`, table after table, oldest first, at most ROWS_OF_A_TABLE of each; none of
        any where one table fails. It counts with :meth:`commit`."""
        taken: list[QueueItem] = []
        left, visited = BYTES_AT_ONCE, 0
        for visited, table in enumerate(tables, 1):
            try:
                items = self._go_on(partial(self._take, table=table, left=left))
            except StoreError as error:
                if is_lost(error):
                    raise
                self.close()
                return LockedRows([], [(table, error)], visited)
            taken += items
            left -= sum(len(item.frame) for item in items)
            if len(taken) + ROWS_OF_A_TABLE > ROWS_AT_ONCE or left <= 0:
                break
        if not taken:
            self.release()
        return LockedRows(taken, [], visited)

    def commit(self) -> None:
        """What was taken is gone for good."""
        self._run(lambda connection: None)

    def release(self) -> None:
        """Let go of what was taken; it is as it was."""
        if self._connection is not None:
            with self._in_words():
                self._connection.rollback()

    def tidy(self, table: ItemTable, age: float) -> Tidied:
        """Free the rows that were claimed more than `age` seconds ago, and look who else should have some."""

        def tidy(connection: Connection) -> Tidied:
            freed = connection.exec_driver_sql(self._sql.free(table), (age, *table.queues)).rowcount
            others = connection.exec_driver_sql(self._sql.others(table), table.queues).scalars().all()
            return Tidied(freed, [_text(each) for each in others])

        return self._run(tidy)

    def close(self) -> None:
        """Disconnect; what is locked is free."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _look(self, connection: Connection, tables: Sequence[ItemTable]) -> list[ItemTable]:
        queues = tuple(queue for table in tables for queue in table.queues)
        rows = connection.exec_driver_sql(self._sql.look(tables), queues)
        return [tables[position] for position in sorted(rows.scalars())]

    def _take(self, connection: Connection, table: ItemTable, left: int) -> list[QueueItem]:
        # Not in one step: that would lock all rows that are looked at, and fetch frames of any size.
        ids: list[int] = []
        for key, size in connection.exec_driver_sql(self._sql.candidates(table), table.queues).all():
            if ids and left < size:
                break
            ids.append(key)
            left -= size
        if not ids:
            return []
        rows = connection.exec_driver_sql(self._sql.lock(table, len(ids)), tuple(ids))
        items = [_item(table, *row) for row in rows]
        if items:
            connection.exec_driver_sql(self._sql.delete(table), [(item.id,) for item in items])
        return items

    def _run(self, action: Callable[[Connection], T]) -> T:
        """Do `action`, and commit it together with what went before."""

        def committed(connection: Connection) -> T:
            result = action(connection)
            connection.commit()
            return result

        return self._go_on(committed)

    def _go_on(self, action: Callable[[Connection], T]) -> T:
        self.connect()
        assert self._connection is not None
        with self._in_words():
            return action(self._connection)

    @contextmanager
    def _in_words(self) -> Any:
        try:
            yield
        except SQLAlchemyError as error:
            told = self._dialect.in_words(self.name, error)
            self._after(told)
            raise told from error
        except BaseException:
            self.close()
            raise

    def _after(self, error: StoreError) -> None:
        if self._connection is None:
            return
        if is_lost(error) or isinstance(error, Conflict) or self._postgresql:
            self.close()

    def _made(self) -> Engine:
        if self._engine is None:
            # Without locks on the gaps between rows, which would keep PHP from adding some.
            self._engine = create_engine(
                self._url,
                isolation_level="READ COMMITTED",
                connect_args=connect_args(self._url.get_driver_name(), self._url.query),
                poolclass=NullPool,
            )
            event.listen(self._engine, "connect", self._dialect.set_up)
            event.listen(self._engine, "connect", self._set_up)
        return self._engine

    def _set_up(self, connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self._sql.lock_timeout)
        connection.commit()


class _Statements:
    """What is said to one kind of server; the parameters are the queues' names, or ids."""

    def __init__(self, postgresql: bool) -> None:
        self._postgresql = postgresql
        # MariaDB's comparison ignores case and blanks at the end.
        self._transport = "transport" if postgresql else "CAST(transport AS BINARY)"
        # It would read a small table as a whole, and wait for whatever another program has just locked or added there.
        self._by_id = "" if postgresql else " FORCE INDEX (PRIMARY)"
        self.lock_timeout = (
            f"SET lock_timeout = '{LOCK_TIMEOUT}s'"
            if postgresql
            else f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
        )

    def look(self, tables: Sequence[ItemTable]) -> str:
        selects = [
            f"(SELECT {n} FROM {self._name(table)} WHERE {self._waiting(table)} LIMIT 1)"
            for n, table in enumerate(tables)
        ]
        return " UNION ALL ".join(selects)

    def candidates(self, table: ItemTable) -> str:
        return (
            f"SELECT id, OCTET_LENGTH(frame) FROM {self._name(table)} WHERE {self._waiting(table)}"
            f" ORDER BY created, id LIMIT {ROWS_OF_A_TABLE}"
        )

    def lock(self, table: ItemTable, number: int) -> str:
        return (
            f"SELECT id, transport, created, frame FROM {self._name(table)}{self._by_id} WHERE id IN ({_marks(number)})"
            " AND claimed IS NULL ORDER BY created, id FOR UPDATE"
        )

    def delete(self, table: ItemTable) -> str:
        # One by one, since there is no such hint for DELETE.
        return f"DELETE FROM {self._name(table)} WHERE id = %s"

    def free(self, table: ItemTable) -> str:
        then = (
            "(now() AT TIME ZONE 'UTC') - make_interval(secs => %s)"
            if self._postgresql
            else "UTC_TIMESTAMP() - INTERVAL %s SECOND"
        )
        return f"UPDATE {self._name(table)} SET claimed = NULL WHERE claimed < {then} AND {self._mine(table)}"

    def others(self, table: ItemTable) -> str:
        return (
            f"SELECT DISTINCT transport FROM {self._name(table)} WHERE claimed IS NULL AND NOT {self._mine(table)}"
            f" LIMIT {OTHERS_SHOWN}"
        )

    def _waiting(self, table: ItemTable) -> str:
        return f"claimed IS NULL AND {self._mine(table)}"

    def _mine(self, table: ItemTable) -> str:
        return f"{self._transport} IN ({_marks(len(table.queues))})"

    def _name(self, table: ItemTable) -> str:
        if self._postgresql:
            return "queue_item"
        quoted = table.database.replace("`", "``").replace("%", "%%")
        return f"`{quoted}`.queue_item"


def _marks(number: int) -> str:
    return ", ".join(["%s"] * number)


def is_lost(error: StoreError) -> bool:
    """Whether the server is away, rather than that one table, or one account, is refused."""
    return isinstance(error, ConnectionLost) and not isinstance(error, LoginRefused)


def _item(table: ItemTable, key: int, transport: Any, created: Any, frame: Any) -> QueueItem:
    at = created.replace(tzinfo=UTC).timestamp() if isinstance(created, datetime) else unix_time()
    body = frame.encode() if isinstance(frame, str) else bytes(frame)
    return QueueItem(table, key, _text(transport), str(created), at, body)


def _text(transport: Any) -> str:
    return transport.decode(errors="replace") if isinstance(transport, bytes) else str(transport)
