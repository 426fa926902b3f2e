"""The tables in a database on a server.

A program in any language may INSERT INTO snqd_job (site, queue, body): the rest has defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

MARIADB = "mariadb"
POSTGRESQL = "postgresql"

READY = 0
IN_HAND = 1
DELAYED = 2
"""Until its due."""
SOLO = 3
"""A suspect that waits to run alone."""
SOLO_IN_HAND = 4
"""A job that is taken moves one up from READY or SOLO, one that goes back as it was moves one down."""


Migration = Callable[[Connection], object]


class db_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """The database's time, in Unix seconds: the hosts' clocks need not agree."""

    type = Double()
    inherit_cache = True


@compiles(db_now, POSTGRESQL)
def _postgresql_now(element: Any, compiler: Any, **more: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(db_now, MARIADB)
def _mariadb_now(element: Any, compiler: Any, **more: Any) -> str:
    return "CAST(unix_timestamp(now(6)) AS DOUBLE)"


class _some_id(FunctionElement[str]):  # noqa: N801
    """A new random id."""

    type = String()
    inherit_cache = True


@compiles(_some_id, POSTGRESQL)
def _postgresql_id(element: Any, compiler: Any, **more: Any) -> str:
    return "replace(CAST(gen_random_uuid() AS text), '-', '')"


@compiles(_some_id, MARIADB)
def _mariadb_id(element: Any, compiler: Any, **more: Any) -> str:
    return "(replace(uuid(), '-', ''))"


def _word(length: int) -> Any:
    """ASCII text that compares byte by byte."""
    return String(length, collation="C").with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), MARIADB
    )


_BLOB = LargeBinary().with_variant(mysql.LONGBLOB(), MARIADB)
_TEXT = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), MARIADB)
# A letter may be of what could not be read: its names can be anything.
_TEXT_KEY = Text(collation="C").with_variant(mysql.VARCHAR(600, charset="utf8mb4", collation="utf8mb4_bin"), MARIADB)
_OPTIONS: dict[str, Any] = {"mariadb_engine": "InnoDB", "mariadb_default_charset": "utf8mb4"}


def _match(column: str, pattern: str, name: str) -> list[CheckConstraint]:
    """A constraint that refuses a row that could not be handed out where it is inserted."""
    return [
        CheckConstraint(f"{column} ~ '^{pattern}$'", name).ddl_if(dialect=POSTGRESQL),
        CheckConstraint(f"{column} REGEXP '^{pattern}$'", name).ddl_if(dialect=MARIADB),
    ]


versions = MetaData()
version = Table(
    "snqd_schema",
    versions,
    Column("kind", _word(16), primary_key=True),
    Column("version", Integer, nullable=False),
    **_OPTIONS,
)

queue_tables = MetaData()

_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"

job = Table(
    "snqd_job",
    queue_tables,
    Column("n", BigInteger, Identity(), primary_key=True),
    Column("id", _word(64), nullable=False, server_default=_some_id()),
    Column("site", _word(64), nullable=False),
    Column("queue", _word(64), nullable=False),
    Column("encoding", _word(4), nullable=False, server_default="json"),
    Column("created", Double, nullable=False, server_default=db_now()),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("state", SmallInteger, nullable=False, server_default=text("0")),
    Column("due", Double),
    Column("owner", BigInteger, nullable=False, server_default=text("0")),
    Column("reason", _TEXT, nullable=False, server_default=""),
    Column("body", _BLOB, nullable=False),
    *_match("id", "[A-Za-z0-9.-]{1,64}", "id_is_a_job_id"),
    *_match("site", _NAME, "site_is_a_name"),
    *_match("queue", _NAME, "queue_is_a_name"),
    CheckConstraint("encoding IN ('json', 'php')", "encoding_is_json_or_php"),
    CheckConstraint("attempt >= 1", "attempt_counts_from_1"),
    CheckConstraint("state BETWEEN 0 AND 4", "state_is_known"),
    CheckConstraint("(state = 2) = (due IS NOT NULL)", "only_what_is_delayed_is_due"),
    CheckConstraint("(state IN (1, 4)) = (owner <> 0)", "only_what_is_in_hand_is_owned"),
    **_OPTIONS,
)

# A claim seeks in one of these and never steps over what it can't take. MariaDB has no partial indexes.
Index("snqd_job_ready", job.c.queue, job.c.site, job.c.n, postgresql_where=job.c.state == READY).ddl_if(POSTGRESQL)
Index("snqd_job_held", job.c.state, job.c.queue, job.c.site, postgresql_where=job.c.state != READY).ddl_if(POSTGRESQL)
Index("snqd_job_due", job.c.due, postgresql_where=job.c.state == DELAYED)
Index("snqd_job_turn", job.c.state, job.c.queue, job.c.site, job.c.n).ddl_if(MARIADB)

owner = Table(
    "snqd_owner",
    queue_tables,
    Column("n", BigInteger, Identity(), primary_key=True),
    Column("name", _word(255), nullable=False),
    # The number of its last transaction: a sign of life, and the proof of a commit whose answer was lost.
    Column("last", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("name", name="snqd_owner_name"),
    **_OPTIONS,
)

pause = Table(
    "snqd_pause",
    queue_tables,
    Column("queue", _word(64), primary_key=True),
    Column("site", _word(64), primary_key=True),
    **_OPTIONS,
)

morgue_tables = MetaData()

letter = Table(
    "snqd_letter",
    morgue_tables,
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("id", _TEXT_KEY, nullable=False),
    Column("site", _TEXT_KEY, nullable=False),
    Column("queue", _TEXT_KEY, nullable=False),
    Column("body", _BLOB, nullable=False),
    Column("encoding", _word(4), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("died", Double, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("traceback", _TEXT, nullable=False),
    UniqueConstraint("id", name="snqd_letter_id"),
    Index("snqd_letter_queue", "queue"),
    Index("snqd_letter_site", "site"),
    **_OPTIONS,
)

QUEUE_MIGRATIONS: tuple[Migration, ...] = (queue_tables.create_all,)
MORGUE_MIGRATIONS: tuple[Migration, ...] = (morgue_tables.create_all,)
"""What makes each version of the schema, from 1, of the one before it. MariaDB commits within them: one that was cut
short is done again, so it must be able to go on."""
