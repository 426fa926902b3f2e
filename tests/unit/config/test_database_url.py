"""URLs of databases: what is understood, and what is shown of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.database_url import connect_args, database_url, sqlite_file, without_password
from snqd.config.values import BadValue


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sqlite:////var/q.db", "sqlite:////var/q.db"),
        ("sqlite:///q.db", "sqlite:///q.db"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        (
            "postgresql+psycopg://u:p%40@h:5433/d?sslmode=require",
            "postgresql+psycopg://u:p%40@h:5433/d?sslmode=require",
        ),
        ("postgresql://u@/d?host=a:1&host=b:2", "postgresql+psycopg://u@/d?host=a:1&host=b:2"),
        ("mariadb://u@h/d", "mariadb+pymysql://u@h/d"),
        ("mysql://u@h/d", "mariadb+pymysql://u@h/d"),
        ("mysql+pymysql://u@h/d", "mariadb+pymysql://u@h/d"),
    ],
)
def test_a_database_is_named_with_the_driver_that_is_used(text: str, url: str) -> None:
    assert database_url(text) == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("postgresql://u:secret@h", "the URL names no database: write "),
        ("postgresql://u:secret@h/", "the URL names no database: write "),
        ("postgresql+asyncpg://u:secret@h/d", "'postgresql+asyncpg' is no kind of database: write sqlite:///path, or "),
        ("queue.db", "'queue.db' is no kind of database: write sqlite:///path, or "),
        ("postgresql://u:secret@h:port/d", "the database's URL can't be read: "),
        ("postgresql://u:sec ret@h/d", "the database's URL has a blank: percent-encode it"),
        ("sqlite:///:memory:", "'sqlite:///:memory:' is no SQLite file: "),
    ],
)
def test_what_is_no_database_is_refused_without_telling_the_password(text: str, problem: str) -> None:
    with pytest.raises(BadValue) as caught:
        database_url(text)
    assert str(caught.value).startswith(problem)
    assert "secret" not in str(caught.value)


def test_only_sqlite_has_a_file() -> None:
    assert sqlite_file("sqlite:////var/q.db") == Path("/var/q.db")
    assert sqlite_file("postgresql+psycopg://u@h/d") is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sqlite:////var/q.db", "/var/q.db"),
        ("postgresql+psycopg://u:secret@h:5433/d", "postgresql+psycopg://u:***@h:5433/d"),
        (
            "postgresql+psycopg://u@h/d?sslmode=require&password=secret",
            "postgresql+psycopg://u@h/d?sslmode=require&password=***",
        ),
        ("mariadb+pymysql://h/d", "mariadb+pymysql://h/d"),
    ],
)
def test_a_password_is_never_shown(url: str, text: str) -> None:
    assert without_password(url) == text


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pymysql", "mysqldb"])
def test_every_driver_gives_up_connecting_after_ten_seconds_unless_the_url_says_another_time(driver: str) -> None:
    assert connect_args(driver, ())["connect_timeout"] == 10
    assert "connect_timeout" not in connect_args(driver, {"connect_timeout": "3"})


def test_a_driver_that_is_not_known_is_told_nothing() -> None:
    assert connect_args("pysqlite", ()) == {}
