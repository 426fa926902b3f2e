"""Errors in words: what may pass, what ends a connection, and what to do."""

from __future__ import annotations

from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError, TimeoutError

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.dialects import Conflict, LoginRefused, MariaDbDialect, PostgresqlDialect, dialect_of

MARIADB = MariaDbDialect()
POSTGRESQL = PostgresqlDialect()


def postgresql(kind: type[psycopg.Error], text: str = "it broke\nDETAIL: more", lost: bool = False) -> Any:
    return DBAPIError.instance("SELECT", {}, kind(text), psycopg.Error, connection_invalidated=lost)


def mariadb(code: int, kind: type[pymysql.Error] = pymysql.err.OperationalError, lost: bool = False) -> Any:
    return DBAPIError.instance("SELECT", {}, kind(code, "it broke"), pymysql.Error, connection_invalidated=lost)


@pytest.mark.parametrize(
    ("error", "meaning", "says"),
    [
        (postgresql(psycopg.errors.DeadlockDetected), Conflict, "it broke"),
        (postgresql(psycopg.errors.SerializationFailure), Conflict, "it broke"),
        (postgresql(psycopg.errors.LockNotAvailable), Conflict, "it broke"),
        (postgresql(psycopg.errors.UniqueViolation), Conflict, "it broke"),
        (postgresql(psycopg.errors.DiskFull), StoreUnavailable, "the server's disk is full: free some space"),
        (postgresql(psycopg.errors.ReadOnlySqlTransaction), StoreUnavailable, "the server is read-only"),
        (postgresql(psycopg.errors.TooManyConnections), StoreUnavailable, "raise its max_connections"),
        (postgresql(psycopg.OperationalError, 'FATAL:  too many connections for role "x"'), StoreUnavailable, "raise"),
        (postgresql(psycopg.OperationalError, "FATAL:  sorry, too many clients already"), ConnectionLost, "raise its"),
        (postgresql(psycopg.errors.AdminShutdown, lost=True), ConnectionLost, "it broke"),
        (postgresql(psycopg.OperationalError, "connection refused"), ConnectionLost, "connection refused"),
        (postgresql(psycopg.OperationalError, 'FATAL:  database "x" does not exist'), LoginRefused, "does not exist"),
        (
            postgresql(psycopg.OperationalError, "FATAL:  password authentication failed"),
            LoginRefused,
            "authentication",
        ),
        (postgresql(psycopg.errors.CheckViolation), StoreError, "it broke"),
        (postgresql(psycopg.errors.InsufficientPrivilege), StoreError, "the user lacks a right"),
    ],
)
def test_an_error_of_postgresql_says_whether_it_may_pass(error: Any, meaning: type[StoreError], says: str) -> None:
    told = POSTGRESQL.in_words("postgresql://h/d", error)
    assert type(told) is meaning
    assert str(told).startswith("postgresql://h/d: ")
    assert says in str(told)
    assert "DETAIL" not in str(told)


@pytest.mark.parametrize(
    ("error", "meaning", "says"),
    [
        (mariadb(1213), Conflict, "it broke"),
        (mariadb(1205), Conflict, "it broke"),
        (mariadb(1062, pymysql.err.IntegrityError), Conflict, "it broke"),
        (mariadb(1114), StoreUnavailable, "the server's disk is full"),
        (mariadb(1290), StoreUnavailable, "the server is read-only"),
        (mariadb(1040), ConnectionLost, "raise its max_connections"),
        (mariadb(1226), StoreUnavailable, "raise its limits"),
        (mariadb(2013, lost=True), ConnectionLost, "it broke"),
        (mariadb(2003), ConnectionLost, "it broke"),
        (mariadb(1045), LoginRefused, "the server refuses user and password"),
        (mariadb(1049), LoginRefused, "there is no such database: create it"),
        (mariadb(1153), StoreError, "max_allowed_packet"),
        (mariadb(4025, pymysql.err.IntegrityError), StoreError, "it broke"),
    ],
)
def test_an_error_of_mariadb_says_whether_it_may_pass(error: Any, meaning: type[StoreError], says: str) -> None:
    told = MARIADB.in_words("mariadb://h/d", error)
    assert type(told) is meaning
    assert says in str(told)


def test_a_crowded_pool_may_pass_and_misuse_may_not() -> None:
    assert type(POSTGRESQL.in_words("db", TimeoutError("QueuePool limit"))) is StoreUnavailable
    assert type(POSTGRESQL.in_words("db", InvalidRequestError("no"))) is StoreError


@pytest.mark.parametrize(
    ("error", "ends"),
    [(ConnectionLost(), True), (StoreUnavailable(), True), (Conflict(), False), (StoreError(), False)],
)
def test_another_connection_is_made_after_what_another_server_may_not_have(error: StoreError, ends: bool) -> None:
    assert POSTGRESQL.ends_connection(error) is ends


def test_each_kind_of_server_has_its_dialect() -> None:
    assert isinstance(dialect_of("postgresql"), PostgresqlDialect)
    assert isinstance(dialect_of("mariadb"), MariaDbDialect)
