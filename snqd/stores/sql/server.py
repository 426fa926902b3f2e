"""SqlServer: a database on a server: connections that are made again, a schema that is brought up to date, errors in
words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import uniform
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError, InvalidRequestError, SQLAlchemyError

from snqd.config.database_url import connect_args, without_password
from snqd.core.clocks import boot_time
from snqd.core.errors import SchemaTooNew, StoreError
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.dialects import CommitLost, Conflict, dialect_of
from snqd.stores.sql.schema import Migration, version, versions

POOL_SIZE = 3
"""Connections of one process: one to write, two to look."""
ISOLATION = "READ COMMITTED"
FRESH = 1.0
"""Seconds after its last use for which a connection is taken to be there."""
RECYCLE = 3600.0
"""Seconds after which an idle connection is replaced: servers and firewalls close those that are idle for hours."""


TRIES = 8
"""How often a transaction is tried that others are in the way of."""

T = TypeVar("T")


def patiently(action: Callable[[], T]) -> T:
    """Do `action`; again after a random while if another process's transaction was in the way.

    :raises Conflict: if that happened again and again.
    """
    for tried in range(1, TRIES):
        try:
            return action()
        except Conflict:
            time.sleep(uniform(0.0, 0.002 * 2**tried))
    return action()


class SqlServer:
    """The database that `url` names, for several threads.

    :param kind: what is kept there, for messages and for the schema's version: ``queue``.
    :param migrations: one for each version of the schema, from 1.
    """

    def __init__(self, url: str, kind: str, migrations: Sequence[Migration]) -> None:
        self.name = without_password(url)
        self._url = make_url(url)
        self._kind = kind
        self._migrations = migrations
        self._engine: Engine | None = None
        self._up_to_date = False
        self.dialect = dialect_of(self._url.get_backend_name())

    @property
    def postgresql(self) -> bool:
        """Whether it is on PostgreSQL; else it is on MariaDB."""
        return self._url.get_backend_name() == "postgresql"

    def connect(self) -> Connection:
        """A connection, with the schema up to date.

        :raises StoreUnavailable: where there is none to be had now.
        :raises SchemaTooNew: where a newer snqd made the schema.
        :raises StoreError: where the server refuses for good.
        """
        with self.errors_in_words():
            connection = self._taken()
            try:
                self._bring_up_to_date(connection)
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            return connection

    @contextmanager
    def transaction(self, single: bool = False) -> Iterator[Connection]:
        """A transaction on a connection of its own: durable at its end, rolled back on any exception.

        :param single: whether it is one statement, which needs no beginning and no end.
        :raises CommitLost: where nobody knows whether it took place.
        :raises StoreError: in words.
        """
        connection = self.connect()
        committing = single
        if single:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            with self.errors_in_words(connection), connection.begin():
                yield connection
                committing = True
        except ConnectionLost as error:
            if committing:
                raise CommitLost(str(error)) from error
            raise
        finally:
            connection.close()

    def own_connection(self) -> Any:
        """A connection of the driver's, for one use that lasts; it counts for no pool. Fails as the driver does."""
        dialect = self._made().dialect
        arguments, options = dialect.create_connect_args(self._url)
        return dialect.connect(*arguments, **{**self._connect_args(), **options})

    def run(self, action: Callable[[Connection], T]) -> T:
        """Do `action` in a transaction, as often as needed where other processes' transactions are in the way.

        :raises StoreError: in words.
        """
        return patiently(lambda: self._run_once(action, single=False))

    def ask(self, action: Callable[[Connection], T]) -> T:
        """Do `action`, which is one statement, as :meth:`run` does, with fewer round trips.

        :raises StoreError: in words.
        """
        return patiently(lambda: self._run_once(action, single=self.postgresql))

    def _run_once(self, action: Callable[[Connection], T], single: bool) -> T:
        with self.transaction(single) as connection:
            return action(connection)

    @contextmanager
    def errors_in_words(self, connection: Connection | None = None) -> Iterator[None]:
        """Turn SQLAlchemy's errors into StoreErrors that name the server and say what to do.

        :param connection: is not used again after an error that another server, or another time, may not have.
        """
        try:
            yield
        except SQLAlchemyError as error:
            told = self.dialect.in_words(self.name, error)
            if connection is not None and self.dialect.ends_connection(told) and not connection.closed:
                connection.invalidate(error)
            raise told from error
        except UnicodeError as error:
            raise StoreError(f"{self.name}: can't carry that text: {error}") from error

    def close(self) -> None:
        """Disconnect; connecting again is fine."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _taken(self) -> Connection:
        try:
            return self._made().connect()
        except InvalidRequestError as error:
            # The pool looked at one connection after the other, and each was gone, the one just made as well.
            raise ConnectionLost(f"{self.name}: the server cut each connection before it could be used") from error

    def _made(self) -> Engine:
        if self._engine is None:
            engine = create_engine(
                self._url,
                isolation_level=ISOLATION,
                connect_args=self._connect_args(),
                pool_size=POOL_SIZE,
                max_overflow=0,
                pool_recycle=RECYCLE,
                pool_use_lifo=True,
            )
            event.listen(engine, "do_connect", self.dialect.connect)
            event.listen(engine, "connect", self.dialect.set_up)
            event.listen(engine, "checkin", _checked_in)
            event.listen(engine, "checkout", partial(_checked_out, engine.dialect))
            self._engine = engine
        return self._engine

    def _connect_args(self) -> dict[str, Any]:
        return connect_args(self._url.get_driver_name(), self._url.query)

    def _bring_up_to_date(self, connection: Connection) -> None:
        if self._up_to_date:
            return
        if self._found(connection) < len(self._migrations):
            connection.rollback()
            with self.dialect.migration_lock(connection):
                self._migrate(connection)
        connection.rollback()
        self._up_to_date = True

    def _migrate(self, connection: Connection) -> None:
        versions.create_all(connection)
        for number in range(self._found(connection), len(self._migrations)):
            self._migrations[number](connection)
            connection.execute(version.delete().where(version.c.kind == self._kind))
            connection.execute(version.insert().values(kind=self._kind, version=number + 1))
        connection.commit()

    def _found(self, connection: Connection) -> int:
        """The schema's version, 0 where there is none."""
        if not inspect(connection).has_table(version.name):
            return 0
        found = connection.scalar(select(version.c.version).where(version.c.kind == self._kind)) or 0
        if found > len(self._migrations):
            raise SchemaTooNew(
                f"{self.name} has schema version {found} of the {self._kind}, this snqd knows {len(self._migrations)}: "
                "run the newer snqd, or name another database"
            )
        return int(found)


def _checked_in(connection: Any, record: Any) -> None:
    record.info["used"] = boot_time()


def _checked_out(dialect: Any, connection: Any, record: Any, proxy: Any) -> None:
    """Look whether a connection that was idle is still there; the pool makes another one if not."""
    if boot_time() - record.info.get("used", -math.inf) > FRESH:
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error
