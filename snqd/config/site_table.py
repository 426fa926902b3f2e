"""SiteTable: sites from StatusNet's ``status_network`` table; each row becomes the text of a file that defines one.

Columns as in StatusNet's ``db/site.sql``: nickname, hostname, pathname, dbhost, dbuser, dbpass, dbname, sitename,
theme, logo, tags, created, modified. Handlers read them all with ``job.site.config("status_network", COLUMN)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from snqd.config.database_url import CONNECT_TIMEOUT, DRIVERS, connect_args, without_password
from snqd.core.clocks import Monotonic, monotonic
from snqd.core.errors import SnqdError

READ_EVERY = 60.0
"""Seconds after which the whole table is read though it seems unchanged: rows changed by hand keep their `modified`."""
SAME_SECOND = 2.0
"""Seconds for which a table that changed may change again without a newer `modified`, which counts whole seconds."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_SETTINGS = ("nickname", "created", "modified")
_ROWS = "SELECT * FROM status_network ORDER BY nickname"
_MARK = "SELECT COUNT(*), MAX(modified) FROM status_network"


class TableUnreadable(SnqdError):
    """The table can't be read."""


class SiteTable:
    """The table in one database, read in one thread at a time.

    :param url: SQLAlchemy's.
    :param monotonic: seconds on a steady clock.
    :raises TableUnreadable: if `url` is none, or its driver is not installed.
    """

    def __init__(self, url: str, monotonic: Callable[[], Monotonic] = monotonic) -> None:
        self.url = url
        self._monotonic = monotonic
        self._engine, self._place = _engine(url)
        self._files: dict[str, str] = {}
        self._digest = b""
        self._mark: Any = None
        self._version: Any = None
        self._read_at = -READ_EVERY
        self._marked_at = 0.0

    def read(self) -> dict[str, str]:
        """Every row as the text of a file, by a name that tells database and nickname.

        :raises TableUnreadable: saying why.
        """
        from sqlalchemy import text

        with self._errors_in_words(), self._engine.connect() as connection:
            result = connection.execute(text(_ROWS))
            columns, rows = list(result.keys()), result.all()
        digest = blake2b(repr((columns, list(map(tuple, rows)))).encode("utf-8", "backslashreplace")).digest()
        if digest != self._digest:
            self._digest, self._files = digest, self._texts(row._mapping for row in rows)
        self._read_at = self._monotonic()
        return self._files

    def _texts(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        files = {f"{self._place}#{row['nickname']}": site_text(row) for row in rows}
        # The old text where it still holds, so that ten thousand sites are not in memory twice.
        return {name: old if (old := self._files.get(name)) == new else new for name, new in files.items()}

    def look(self) -> dict[str, str]:
        """The same, but the rows of the last time where nothing tells that they changed.

        :raises TableUnreadable: saying why.
        """
        now = self._monotonic()
        mark = self._look_at_mark()
        if mark != self._mark:
            self._mark, self._marked_at = mark, now
        if now - self._read_at < READ_EVERY and self._marked_at < self._read_at - SAME_SECOND:
            return self._files
        return self.read()

    def _look_at_mark(self) -> Any:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        with self._errors_in_words(), self._engine.connect() as connection:
            version = self._version_of(connection)
            if version is not None and version == self._version:
                return self._mark
            self._version = version
            try:
                return tuple(connection.execute(text(_MARK)).one())
            except SQLAlchemyError:
                return None  # a table without that column; one that can't be read at all is told of by read()

    def _version_of(self, connection: Any) -> Any:
        """What changes with every commit to an SQLite file, as one connection sees it; a look at it reads no row."""
        if connection.dialect.name != "sqlite":
            return None
        same_connection = connection.info.setdefault("snqd", object())
        return same_connection, connection.exec_driver_sql("PRAGMA data_version").scalar_one()

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise TableUnreadable(
                f"the table status_network of {self._place} can't be read: {_why(error)}: see whether this is "
                "the right database, can be reached from here, and lets this user read the table"
            ) from error


def site_text(row: Mapping[str, Any]) -> str:
    """A row as a file of ``[sites] dir`` would say it."""
    keys = {"server": row.get("hostname"), "name": row.get("sitename")}
    keys |= {f"app.status_network.{name}": value for name, value in row.items() if name not in _NOT_SETTINGS}
    lines = [f"{key} = {_one_line(value)}" for key, value in keys.items() if value not in (None, "")]
    return "\n".join([f"[site:{_one_line(row['nickname'])}]", *lines])


def _one_line(value: Any) -> str:
    return _CONTROL.sub(" ", str(value))


def _engine(url: str) -> tuple[Any, str]:
    """The way to the database, and its URL as it may be shown."""
    try:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise TableUnreadable(f"SQLAlchemy is not installed ({error}): pip install SQLAlchemy") from error
    try:
        said = make_url(url)
        used = said.set(drivername=DRIVERS.get(said.drivername, said.drivername))
        args = connect_args(used.get_driver_name(), used.query)
        if "read_timeout" in args:  # PyMySQL's connect_timeout ends where the server's greeting should begin
            args["read_timeout"] = CONNECT_TIMEOUT
        engine = create_engine(used, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=args)
    except (ArgumentError, ImportError, TypeError) as error:
        raise TableUnreadable(f"no database can be reached by this URL: {_why(error)}") from error
    shown = said.render_as_string(hide_password=True)
    return engine, shown if used.get_backend_name() == "sqlite" else without_password(shown)


def _why(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else repr(cause)
