"""URLs of databases, in SQLAlchemy's words: what ``[queue] db`` and ``morgue`` may be."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from snqd.config.problems import quoted
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

CONNECT_TIMEOUT = 10
"""Seconds after which a server that does not answer counts as down."""

_LIBPQ: Mapping[str, Any] = {
    "application_name": "snqd",
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_MYSQL: Mapping[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": 60, "write_timeout": 60}
_CONNECT_ARGS = {"psycopg": _LIBPQ, "psycopg2": _LIBPQ, "pymysql": _MYSQL, "mysqldb": _MYSQL}

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
        raise BadValue(f"{quoted(parts.scheme or text)} is no kind of database: write {SQLITE}path, or {_SERVERS}")
    if not parts.path.strip("/"):
        raise BadValue(f"the URL names no database: write {_SERVERS}")
    return urlunsplit(parts._replace(scheme=DRIVERS[parts.scheme]))


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL, None for a database on a server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def connect_args(driver: str, in_url: Container[str]) -> dict[str, Any]:
    """What SQLAlchemy's `driver` is told, so that a server that is silent does not hold up its client for ever.

    :param in_url: the names of what the URL says itself, which holds.
    """
    return {name: value for name, value in _CONNECT_ARGS.get(driver, {}).items() if name not in in_url}


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
