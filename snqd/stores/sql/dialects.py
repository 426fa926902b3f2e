"""What PostgreSQL and MariaDB want said differently about connections, locks and errors; their queries are in
:mod:`snqd.stores.sql.postgresql` and :mod:`snqd.stores.sql.mariadb`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError, TimeoutError

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.group_commit import ConnectionLost

LOCK_TIMEOUT = 10
"""Seconds that a statement waits for another process's transaction before it counts as in the way."""
ADVISORY_LOCK = 0x736E7164


class Conflict(StoreUnavailable):
    """Another process's transaction was in the way; doing it again helps."""


class CommitLost(ConnectionLost):
    """The connection was lost during a commit: whether that took place is not known."""


class LoginRefused(ConnectionLost):
    """The server lets this user in no more, or not into this database."""


def first_line(error: BaseException | None) -> str:
    """What the error says, as far as one line goes."""
    return str(error).strip().partition("\n")[0]


class SqlDialect(Protocol):
    """How to deal with one kind of server."""

    def connect(self, dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        """A new connection of SQLAlchemy's `dialect`; None if it is to be made as always."""

    def set_up(self, connection: Any, record: Any) -> None:
        """Prepare the driver's new connection."""

    def migration_lock(self, connection: Connection) -> Any:
        """A context manager: one process at a time."""

    def in_words(self, name: str, error: SQLAlchemyError) -> StoreError:
        """What the error means, for people, as the StoreError that says whether trying again may help."""

    def ends_connection(self, error: StoreError) -> bool:
        """Whether another connection had better be made after it."""

    def dangers(self, connection: Connection) -> list[str]:
        """Which of the server's settings let a crash of its machine undo what was accepted, and what to do."""


class _Common:
    conflicts: frozenset[Any] = frozenset()
    advice: Mapping[Any, str] = {}

    def connect(self, dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        """See :class:`SqlDialect`."""
        return None

    def in_words(self, name: str, error: SQLAlchemyError) -> StoreError:
        """See :class:`SqlDialect`."""
        if isinstance(error, TimeoutError):
            return StoreUnavailable(f"{name}: all connections of this process are busy")
        if not isinstance(error, DBAPIError):
            return StoreError(f"{name}: {error}")
        code = self._code(error)
        message = f"{name}: {first_line(error.orig)}"
        if code in self.conflicts:
            return Conflict(message)
        if code in self.advice:
            message = f"{name}: {self.advice[code]} ({first_line(error.orig)})"
        if self._refused(error, code):
            return LoginRefused(message)
        if error.connection_invalidated or self._connecting_failed(error, code):
            return ConnectionLost(message)
        return StoreUnavailable(message) if self._may_pass(error, code) else StoreError(message)

    def ends_connection(self, error: StoreError) -> bool:
        """See :class:`SqlDialect`."""
        # A server that is read-only, or has no room, may have a sibling in the URL that is better off.
        return isinstance(error, StoreUnavailable) and not isinstance(error, Conflict)

    def _code(self, error: DBAPIError) -> Any:
        raise NotImplementedError

    def _connecting_failed(self, error: DBAPIError, code: Any) -> bool:
        raise NotImplementedError

    def _refused(self, error: DBAPIError, code: Any) -> bool:
        raise NotImplementedError

    def _may_pass(self, error: DBAPIError, code: Any) -> bool:
        raise NotImplementedError


_REFUSED = re.compile(r"authentication failed|no pg_hba.conf entry|(role|database) \".*\" does not exist")
_CROWDED = re.compile(r"too many clients|remaining connection slots are reserved")
_LIMITED = re.compile(r"too many connections for (role|database)")


class PostgresqlDialect(_Common):
    """PostgreSQL by psycopg."""

    conflicts = frozenset({"23505", "40001", "40P01", "55P03"})
    advice = {
        "25006": "the server is read-only: name the primary, or add target_session_attrs=read-write to the URL",
        "42501": "the user lacks a right: make it the owner of the schema, or let the owner start snqd once",
        "53100": "the server's disk is full: free some space",
        "53300": "the server has no connection left: raise its max_connections",
    }
    # The statements are few and seek by index. A planner that has seen the table empty would read it whole.
    _settings: Mapping[str, str] = {
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",
        "lock_timeout": f"{LOCK_TIMEOUT}s",
        "idle_in_transaction_session_timeout": "300s",
        "client_min_messages": "warning",
    }

    def set_up(self, connection: Any, record: Any) -> None:
        """See :class:`SqlDialect`."""
        wanted = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in self._settings.items())
        connection.execute(f"SELECT {wanted}")
        # Accepted means durable, whatever the server's default is; remote_apply and the like are stricter still.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        """See :class:`SqlDialect`."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        yield

    def dangers(self, connection: Connection) -> list[str]:
        """See :class:`SqlDialect`."""
        off = connection.exec_driver_sql(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'"
        )
        return [f"{name} is off: set {name} = on in postgresql.conf" for name in off.scalars()]

    def _code(self, error: DBAPIError) -> Any:
        # What fails before a session begins carries no code. In other languages than English it counts as lost.
        code = getattr(error.orig, "sqlstate", None)
        text = str(error.orig)
        return "53300" if code is None and (_CROWDED.search(text) or _LIMITED.search(text)) else code

    def _refused(self, error: DBAPIError, code: Any) -> bool:
        return code is None and bool(_REFUSED.search(str(error.orig)))

    def _connecting_failed(self, error: DBAPIError, code: Any) -> bool:
        if code is None:
            return isinstance(error, OperationalError | InterfaceError)
        return bool(_CROWDED.search(str(error.orig)))

    def _may_pass(self, error: DBAPIError, code: Any) -> bool:
        # Classes: 08 connection, 25006 read-only, 40 rollback, 53 resources, 55 not in state, 57 operator, 58 system.
        return code == "25006" or (code or "")[:2] in {"08", "40", "53", "55", "57", "58"}


class MariaDbDialect(_Common):
    """MariaDB by PyMySQL."""

    conflicts = frozenset({1020, 1062, 1205, 1213})
    _lost = frozenset({0, 1053, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031})
    _full = frozenset({1021, 1026, 1030, 1114})
    _read_only = frozenset({1290, 1792, 1836})
    _crowded = frozenset({1040, 1041, 1129})
    _limited = frozenset({1203, 1226})
    _no_entry = frozenset({1044, 1045, 1049, 1698})
    advice = {
        **dict.fromkeys(_full, "the server's disk is full, or fails: free some space"),
        **dict.fromkeys(_read_only, "the server is read-only: name the primary"),
        **dict.fromkeys(_crowded, "the server has no connection left: raise its max_connections"),
        **dict.fromkeys(_limited, "the user may have no more connections or queries now: raise its limits"),
        1044: "the user may not use this database: GRANT ALL ON it",
        1045: "the server refuses user and password: correct them",
        1049: "there is no such database: create it",
        1142: "the user lacks a right: GRANT ALL ON the database",
        1153: "the job is larger than the server's max_allowed_packet: raise it",
    }

    def connect(self, dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        """See :class:`SqlDialect`."""
        # PyMySQL's connect_timeout ends where the server's greeting should begin.
        patience, greeting = float(options["read_timeout"]), float(options["connect_timeout"])
        connection = dialect.connect(*arguments, **{**options, "read_timeout": min(patience, greeting)})
        connection._read_timeout = patience
        return connection

    def set_up(self, connection: Any, record: Any) -> None:
        """See :class:`SqlDialect`."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
                f" innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
            )

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        """See :class:`SqlDialect`."""
        lock = text("SELECT get_lock(concat('snqd.', database()), :timeout)")
        if connection.scalar(lock, {"timeout": 3 * LOCK_TIMEOUT}) != 1:
            raise StoreUnavailable("another process has been bringing the schema up to date for long: trying again")
        try:
            yield
        finally:
            connection.execute(text("SELECT release_lock(concat('snqd.', database()))"))

    def dangers(self, connection: Connection) -> list[str]:
        """See :class:`SqlDialect`."""
        flushed = connection.exec_driver_sql("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit").scalar()
        advice = "set innodb_flush_log_at_trx_commit = 1 in the server's configuration"
        return [] if flushed == 1 else [f"innodb_flush_log_at_trx_commit is {flushed}: {advice}"]

    def _code(self, error: DBAPIError) -> Any:
        arguments = getattr(error.orig, "args", ())
        return arguments[0] if arguments else None

    def _connecting_failed(self, error: DBAPIError, code: Any) -> bool:
        return code in self._lost | self._crowded

    def _refused(self, error: DBAPIError, code: Any) -> bool:
        return code in self._no_entry

    def _may_pass(self, error: DBAPIError, code: Any) -> bool:
        return code in self._full | self._read_only | self._limited


def dialect_of(backend: str) -> SqlDialect:
    """The dialect for SQLAlchemy's name of a kind of server."""
    return PostgresqlDialect() if backend == "postgresql" else MariaDbDialect()
