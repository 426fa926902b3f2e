"""The hot path in MariaDB's words.

MariaDB seeks in an index for constants, but reads it through for a value of an outer query: stepping from site to site
in a recursive query would cost the whole backlog squared. A block of statements steps with variables, which are
constants to it, in one round trip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from snqd.core.job import Job
from snqd.stores.interface import Claimed
from snqd.stores.sql.statements import (
    FETCHED,
    INSERTED,
    INSERTED_AT_ONCE_BYTES,
    PROMOTED_AT_ONCE,
    Added,
    Outlook,
    Walk,
    claimed_of,
    in_batches,
    row_of,
)

_NOW = "CAST(unix_timestamp(now(6)) AS DOUBLE)"
_INSERT = f"INSERT INTO snqd_job ({INSERTED}) VALUES ({', '.join(['%s'] * len(INSERTED.split(', ')))})"
_PAUSED = """
EXISTS (SELECT 1 FROM snqd_pause WHERE snqd_pause.queue IN ('', {queue}) AND snqd_pause.site IN ('', {site}))"""

_SUSPECTS = f"""
SELECT queue FROM snqd_job AS job WHERE state IN (3, 4) GROUP BY queue
HAVING sum(state = 4) = 0 AND sum(NOT {_PAUSED.format(queue="job.queue", site="job.site")}) > 0
"""

_DUE = f"SELECT n FROM snqd_job WHERE due <= %s ORDER BY due LIMIT {PROMOTED_AT_ONCE} FOR UPDATE SKIP LOCKED"
_HELD = """
EXISTS (SELECT 1 FROM snqd_job
        WHERE state IN (1, 2, 3, 4) AND queue = q AND site = s AND (state <> 2 OR attempt > 1))"""

# Declarations of the block's variables come first; each walk goes from its cursor to the end, and then up to it.
_BLOCK = """
BEGIN NOT ATOMIC
    DECLARE q, s, upto VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin;
    DECLARE found LONGTEXT CHARACTER SET ascii DEFAULT '';
    DECLARE k INT;
    {walks}
    SELECT {now}, (SELECT min(due) FROM snqd_job), (SELECT group_concat(queue SEPARATOR ' ') FROM ({suspects}) AS s),
        found;
END
"""
_WALK = """
    SET q = %s, k = 0, found = concat(found, ' ', %s, '=');
    {legs}
"""
_LEG = """
    SET s = %s, upto = %s;
    BEGIN
    walk: LOOP
        SELECT min(site) INTO s FROM snqd_job WHERE state = 0 AND queue = q AND site > s AND site <= upto;
        IF s IS NULL OR k >= %s THEN LEAVE walk; END IF;
        IF NOT {skipped} THEN SET found = concat(found, s, ','), k = k + 1; END IF;
    END LOOP;
    END;
"""
_LEGS = {
    ordered: _LEG.format(skipped=f"({_PAUSED.format(queue='q', site='s')}{f' OR {_HELD}' if ordered else ''})")
    for ordered in (False, True)
}
_LAST = "\x7f"
"""Behind every site's name."""

_TAKE = f"""
(SELECT {FETCHED} FROM snqd_job FORCE INDEX (snqd_job_turn) WHERE state = 0 AND queue = %s AND site = %s
 ORDER BY n LIMIT %s FOR UPDATE SKIP LOCKED)"""
_TAKE_SOLO = f"""
SELECT {FETCHED} FROM snqd_job AS job WHERE state = 3 AND queue IN %s
    AND NOT EXISTS (SELECT 1 FROM snqd_job WHERE state = 4 AND queue IN %s)
    AND NOT {_PAUSED.format(queue="job.queue", site="job.site")}
ORDER BY n LIMIT 1 FOR UPDATE
"""
_MINE = "SELECT n FROM snqd_job WHERE n IN %s AND owner = %s FOR UPDATE"
_RETRY = """
UPDATE ({rows}) AS retry STRAIGHT_JOIN snqd_job AS job ON job.n = retry.n
SET job.state = 2, job.owner = 0, job.attempt = job.attempt + retry.attempted, job.reason = retry.reason,
    job.due = {now} + retry.delay
"""
_IS_READY = f"""
SELECT EXISTS (SELECT 1 FROM snqd_job WHERE due <= {_NOW})
    OR EXISTS (SELECT 1 FROM snqd_job WHERE state = 0 AND queue IN %s)
"""


CHUNK_BYTES = INSERTED_AT_ONCE_BYTES
"""What is larger goes in parts: PyMySQL writes bytes as hexadecimal digits, and a server takes statements of 16 MiB."""


def chunks_behind_first(body: bytes) -> list[bytes]:
    """The parts of a large `body` that are appended to its first `CHUNK_BYTES`."""
    return [body[at : at + CHUNK_BYTES] for at in range(CHUNK_BYTES, len(body), CHUNK_BYTES)]


class MariaDbStatements:
    """See :class:`~snqd.stores.sql.statements.Statements`."""

    def sign(self, connection: Connection, owner: int, last: int, durable: bool) -> bool:
        """See :class:`Statements`. Every transaction is as durable as the server's settings make it."""
        return connection.exec_driver_sql("UPDATE snqd_owner SET last = %s WHERE n = %s", (last, owner)).rowcount == 1

    def insert(self, connection: Connection, jobs: Sequence[Job], by: str) -> Added:
        """See :class:`Statements`."""
        for batch in in_batches(jobs):
            rows = [row_of(job) for job in batch]
            if len(batch[0].body) > CHUNK_BYTES:
                self._insert_large(connection, rows[0])
            else:
                connection.exec_driver_sql(_INSERT, rows)
        return Added({})

    def _insert_large(self, connection: Connection, row: tuple[Any, ...]) -> None:
        *others, body = row
        key = connection.exec_driver_sql(_INSERT, (*others, body[:CHUNK_BYTES])).lastrowid
        for chunk in chunks_behind_first(body):
            connection.exec_driver_sql("UPDATE snqd_job SET body = concat(body, %s) WHERE n = %s", (chunk, key))

    def acknowledge(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """See :class:`Statements`."""
        statement = "DELETE FROM snqd_job WHERE n IN %s AND owner = %s RETURNING n"
        return set(connection.exec_driver_sql(statement, (list(keys), owner)).scalars())

    def retry(self, connection: Connection, owner: int, rows: Sequence[tuple[int, float, str, int]]) -> set[int]:
        """See :class:`Statements`."""
        mine = self._mine(connection, owner, [key for key, _, _, _ in rows])
        good = [row for row in rows if row[0] in mine]
        if good:
            table = " UNION ALL ".join(["SELECT %s AS n, %s AS delay, %s AS reason, %s AS attempted"] * len(good))
            arguments = tuple(value for row in good for value in row)
            connection.exec_driver_sql(_RETRY.format(rows=table, now=_NOW), arguments)
        return mine

    def give_back(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """See :class:`Statements`."""
        mine = self._mine(connection, owner, keys)
        if mine:
            connection.exec_driver_sql("UPDATE snqd_job SET state = state - 1, owner = 0 WHERE n IN %s", (list(mine),))
        return mine

    def outlook(self, connection: Connection, walks: Sequence[Walk]) -> Outlook:
        """See :class:`Statements`."""
        statement = _BLOCK.format(walks="".join(_walk(walk) for walk in walks), now=_NOW, suspects=_SUSPECTS)
        arguments = tuple(value for walk in walks for value in _arguments(walk))
        with connection.exec_driver_sql(statement, arguments) as result:
            now, due, suspects, found = result.one()
            while result.cursor is not None and result.cursor.nextset():
                continue
        parts = (part.partition("=") for part in found.split())
        sites = {queue: sites.rstrip(",").split(",") for queue, _, sites in parts if sites}
        return Outlook(now, due, frozenset((suspects or "").split()), sites)

    def promote(self, connection: Connection, now: float) -> None:
        """See :class:`Statements`."""
        keys = list(connection.exec_driver_sql(_DUE, (now,)).scalars())
        if keys:
            connection.exec_driver_sql("UPDATE snqd_job SET state = 0, due = NULL WHERE n IN %s", (keys,))

    def take(
        self, connection: Connection, owner: int, queue: str, quotas: Mapping[str, int]
    ) -> dict[str, list[Claimed]]:
        """See :class:`Statements`."""
        arguments = tuple(value for site, most in quotas.items() for value in (queue, site, most))
        rows = connection.exec_driver_sql(" UNION ALL ".join([_TAKE] * len(quotas)), arguments).all()
        self._mark(connection, owner, rows)
        taken: dict[str, list[Claimed]] = {}
        for row in sorted(rows, key=lambda row: row[0]):
            taken.setdefault(row[2], []).append(claimed_of(row, owner))
        return taken

    def take_solo(self, connection: Connection, owner: int, queues: Collection[str]) -> list[Claimed]:
        """See :class:`Statements`."""
        rows = connection.exec_driver_sql(_TAKE_SOLO, (list(queues), list(queues))).all()
        self._mark(connection, owner, rows)
        return [claimed_of(row, owner) for row in rows]

    def alone(self, connection: Connection) -> None:
        """See :class:`Statements`."""
        connection.exec_driver_sql("SELECT version FROM snqd_schema WHERE kind = 'queue' FOR UPDATE").all()

    def is_ready(self, connection: Connection, queues: Collection[str]) -> bool:
        """See :class:`Statements`."""
        return bool(connection.exec_driver_sql(_IS_READY, (list(queues) or [""],)).scalar())

    def _mark(self, connection: Connection, owner: int, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            statement = "UPDATE snqd_job SET state = state + 1, owner = %s WHERE n IN %s"
            connection.exec_driver_sql(statement, (owner, [row[0] for row in rows]))

    def _mine(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        return set(connection.exec_driver_sql(_MINE, (list(keys), owner)).scalars())


def _walk(walk: Walk) -> str:
    return _WALK.format(legs=_LEGS[walk.ordered] * (2 if walk.after else 1))


def _arguments(walk: Walk) -> Iterable[Any]:
    legs = [(walk.after, _LAST), ("", walk.after)] if walk.after else [("", _LAST)]
    return [walk.queue, walk.queue, *(value for leg in legs for value in (*leg, walk.limit))]
