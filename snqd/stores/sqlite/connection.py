"""A SQLite file of snqd's: opened with care, written in transactions that starve nobody, every error in words."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from snqd.core.clocks import monotonic
from snqd.core.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreUnavailable

MAGIC = b"SQLite format 3\0"
PATIENCE = 30.0
"""Seconds that a transaction waits for its turn before it gives up."""
CHECKPOINT_PAGES = 4000
"""Pages of 4 KiB in the write-ahead log from which the next commit brings them into the file: that takes milliseconds,
so it must not come with every hundredth commit."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HELP = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it can't be written: check the owner and the mount of its folder",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened: check its folder's existence, owner and free space",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_BUSY: "another process holds it",
}
_STATE = """
SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
FROM pragma_user_version, pragma_application_id
"""

T = TypeVar("T")


class SqliteFile:
    """One connection to one file, used by one thread at a time.

    :param kind: what the file holds, for messages: ``queue``.
    :param application_id: marks the file as this kind.
    :param migrations: one script for each schema version, from 1.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        application_id: int,
        migrations: Sequence[str],
        *,
        patience: float = PATIENCE,
        random: Random | None = None,
    ) -> None:
        self.path = path
        self._kind = kind
        self._application_id = application_id
        self._migrations = migrations
        self._patience = patience
        self._random = random or Random()
        self.connection: sqlite3.Connection | None = None
        self._durable = True

    def open(self) -> sqlite3.Connection:
        """Connect, making the file (mode 0600) and bringing its schema up to date where needed.

        :raises StoreCorrupt: for a file that is damaged or is something else; it is not touched.
        :raises SchemaTooNew: for a file that a newer snqd wrote.
        :raises StoreUnavailable: where it can't be opened or written.
        """
        if self.connection is not None:
            return self.connection
        self._prepare_file()
        with self.errors_in_words():
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        self.connection = connection
        return connection

    def close(self) -> None:
        """Disconnect; opening again is fine."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self._durable = True

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: durable at its end, rolled back on any exception.

        :raises StoreError: in words.
        """
        connection = self.open()
        with self.errors_in_words():
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def run(self, actions: Sequence[Callable[[sqlite3.Connection], Any]], durable: bool) -> list[Any]:
        """Do `actions` in one transaction; their results.

        :param durable: False spares the wait for the disk. The order of commits is kept all the same.
        :raises StoreError: in words.
        """
        if durable != self._durable:
            self.open().execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        with self.transaction() as connection:
            return [action(connection) for action in actions]

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        """Turn sqlite3's errors into StoreErrors that name the file and say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._in_words(error) from error

    def _in_words(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            return StoreCorrupt(
                f"{self.path} is damaged, or no {self._kind} of snqd's ({error}); it is left as it is: "
                "move it away, or put a backup in its place"
            )
        if code in _HELP:
            return StoreUnavailable(f"{self.path}: {_HELP[code]} ({error})")
        return StoreError(f"{self.path}: {error}")

    def _prepare_file(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with self.path.open("rb") as file:
                start = file.read(len(MAGIC))
        except OSError as error:
            raise StoreUnavailable(f"can't open the {self._kind} {self.path}: {error.strerror}") from error
        if start not in (b"", MAGIC):
            raise StoreCorrupt(
                f"{self.path} is no SQLite file; it is left as it is: move it away, or name another file"
            )

    def _set_up(self, connection: sqlite3.Connection) -> None:
        found = self._patiently(lambda: self._check(connection))
        self._patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchall())
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        if found < len(self._migrations):
            self._migrate(connection)

    def _check(self, connection: sqlite3.Connection) -> int:
        """The file's schema version, 0 for an empty file; only reads."""
        # One statement, one state of the file: another process may be making the schema.
        found, owner, tables = connection.execute(_STATE).fetchone()
        if owner != self._application_id and (owner, found, tables) != (0, 0, 0):
            raise StoreCorrupt(f"{self.path} is a SQLite file, but no {self._kind} of snqd's: name another file")
        if found > len(self._migrations):
            raise SchemaTooNew(
                f"{self.path} has schema version {found}, this snqd knows {len(self._migrations)}: "
                "run the newer snqd, or name another file"
            )
        return int(found)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            for number in range(self._check(connection), len(self._migrations)):
                for statement in self._migrations[number].split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={number + 1}")
            connection.execute(f"PRAGMA application_id={self._application_id}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do `action`; while another process holds the lock, try again after a random while: SQLite's own busy_timeout
        can let one of two busy writers starve."""
        deadline = monotonic() + self._patience
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or monotonic() > deadline:
                    raise
            time.sleep(self._random.uniform(0.0001, 0.001))
