"""URLs of databases, in SQLAlchemy's words: what ``[queue] db`` and ``morgue`` may be."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from snqd.config.problems import shown
from snqd.config.values import BadValue, sqlite_path

SQLITE = "sqlite:///"
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "mysql": "mariadb+pymysql",
    "mysql+pymysql": "mariadb+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
}
"""The drivers that snqd brings, by what people write."""

_SERVERS = "postgresql://user@host/database or mariadb://user@host/database"


def database_url(text: str) -> str:
    """A database: an SQLite file (its URL as it was written), or one on a PostgreSQL or MariaDB server (with the
    driver that is used).

    :raises BadValue: for anything else.
    """
    if text.startswith("sqlite"):
        return SQLITE + sqlite_path(text)
    if re.search(r"[\s\x00-\x1f]", text):
        raise BadValue("the database's URL has a blank: percent-encode it")
    parts = _split(text)
    if parts.scheme not in DRIVERS:
        raise BadValue(f"{shown(parts.scheme or text)} is no kind of database: write {SQLITE}path, or {_SERVERS}")
    if not parts.path.strip("/"):
        raise BadValue(f"the URL names no database: write {_SERVERS}")
    return urlunsplit(parts._replace(scheme=DRIVERS[parts.scheme]))


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL, None for a database on a server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def without_password(url: str) -> str:
    """`url` as it may be shown: an SQLite file's path, or the URL without its password."""
    path = sqlite_file(url)
    if path is not None:
        return str(path)
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    hidden = f"{user.partition(':')[0]}{':***' if ':' in user else ''}{at}{host}"
    query = re.sub(r"(?i)(^|&)([^=&]*passw[^=&]*=)[^&]*", r"\1\2***", parts.query)
    return urlunsplit(parts._replace(netloc=hidden, query=query))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadValue(f"the database's URL can't be read: {error}") from error
    return parts
