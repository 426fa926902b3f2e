"""URLs of databases, in SQLAlchemy's words: what ``[queue] db`` and ``morgue`` may be."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from snqd.config.values import sqlite_path

SQLITE = "sqlite:///"


def database_url(text: str) -> str:
    """The URL of an SQLite file.

    :raises BadValue: for anything else.
    """
    return SQLITE + sqlite_path(text)


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
    return urlunsplit(parts._replace(netloc=hidden))
