"""The hot path in PostgreSQL's words: arrays in, whole batches in one statement, SKIP LOCKED.

``site > :site ORDER BY site LIMIT 1`` in a recursive query steps from site to site by index seeks (a loose index scan),
so that the cost of a claim does not grow with the backlog.
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
    PROMOTED_AT_ONCE,
    Added,
    Outlook,
    Walk,
    claimed_of,
    in_batches,
    row_of,
)

CHANNEL = "snqd"
BYTES = "\\x"
"""Before bytes in hexadecimal digits."""

_SIGN = "UPDATE snqd_owner SET last = %s WHERE n = %s"
_SIGN_FLEETINGLY = f"{_SIGN} RETURNING set_config('synchronous_commit', 'off', true)"

_ROWS = f"""SELECT {INSERTED} FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::int[],
        %s::smallint[], %s::float8[], %s::text[], %s::bytea[])
        WITH ORDINALITY AS new ({INSERTED}, place) ORDER BY place"""
# Takes a server a fifth less time for its one row than the arrays would.
_ROW = "VALUES (%s, %s, %s, %s, %s::float8, %s::int, %s::smallint, %s::float8, %s, %s::bytea)"
# NOT EXISTS would be answered by a hash of all that is ready, read anew for every batch.
_ADD = f"""
WITH added AS (
    INSERT INTO snqd_job ({INSERTED})
    {{rows}}
    RETURNING queue, n, state, due)
SELECT queue, min(CASE WHEN state <> 2 THEN n END), min(due),
    CASE WHEN min(state) <> 2
         AND (SELECT 1 FROM snqd_job AS job WHERE job.state = 0 AND job.queue = added.queue LIMIT 1) IS NULL
    THEN pg_notify('{CHANNEL}', %s) IS NOT NULL ELSE false END
FROM added GROUP BY queue
"""
_INSERT, _INSERT_ONE = _ADD.format(rows=_ROWS), _ADD.format(rows=_ROW)

INSERT_ONE_TYPES = ("text", "text", "text", "text", "float8", "int", "smallint", "float8", "text", "bytea", "text")
"""A job's row, and who adds it."""
INSERT_ONE = _ADD.format(rows="VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)").replace("%s", "$11")

_ACKNOWLEDGE = "DELETE FROM snqd_job WHERE n = ANY(%s::bigint[]) AND owner = %s RETURNING n"

_RETRY = """
UPDATE snqd_job AS job
SET state = 2, owner = 0, attempt = job.attempt + retry.attempted, reason = retry.reason,
    due = extract(epoch FROM clock_timestamp())::float8 + retry.delay
FROM unnest(%s::bigint[], %s::float8[], %s::text[], %s::int[]) AS retry (n, delay, reason, attempted)
WHERE job.n = retry.n AND job.owner = %s RETURNING job.n
"""

_GIVE_BACK = """
UPDATE snqd_job SET state = state - 1, owner = 0 WHERE n = ANY(%s::bigint[]) AND owner = %s RETURNING n
"""

_PAUSED = """
EXISTS (SELECT 1 FROM snqd_pause AS pause
        WHERE pause.queue IN ('', {queue}) AND pause.site IN ('', {site}))"""

_PROMOTE = f"""
UPDATE snqd_job SET state = 0, due = NULL WHERE n IN (
    SELECT n FROM snqd_job WHERE state = 2 AND due <= %s ORDER BY due LIMIT {PROMOTED_AT_ONCE} FOR UPDATE SKIP LOCKED)
"""


def _step(after: str, upto: str = "") -> str:
    return f"""SELECT site FROM snqd_job WHERE state = 0 AND queue = walk.queue AND site > {after} {upto}
               ORDER BY site LIMIT 1"""


_SITES = f"""
SELECT walk.queue || ' ' || found.site
FROM (SELECT queue COLLATE "C" AS queue, after COLLATE "C" AS after, most, ordered
      FROM unnest(%s::text[], %s::text[], %s::int[], %s::bool[]) AS walk (queue, after, most, ordered)) AS walk
CROSS JOIN LATERAL (
    WITH RECURSIVE behind (site) AS (
        ({_step("walk.after")})
        UNION ALL
        SELECT next.site FROM behind CROSS JOIN LATERAL ({_step("behind.site")}) AS next),
    before (site) AS (
        ({_step("''", "AND site <= walk.after")})
        UNION ALL
        SELECT next.site FROM before CROSS JOIN LATERAL ({_step("before.site", "AND site <= walk.after")}) AS next)
    SELECT site FROM (SELECT site FROM behind UNION ALL SELECT site FROM before) AS all_sites
    WHERE NOT {_PAUSED.format(queue="walk.queue", site="all_sites.site")}
      AND NOT (walk.ordered AND EXISTS (
            SELECT 1 FROM snqd_job AS held
            WHERE held.state IN (1, 2, 3, 4) AND held.queue = walk.queue AND held.site = all_sites.site
              AND (held.state <> 2 OR held.attempt > 1)))
    LIMIT walk.most) AS found
"""

_OUTLOOK = f"""
SELECT extract(epoch FROM clock_timestamp())::float8,
    (SELECT due FROM snqd_job WHERE state = 2 ORDER BY due LIMIT 1),
    ARRAY(SELECT queue FROM snqd_job AS job WHERE state IN (3, 4) GROUP BY queue
          HAVING bool_and(state = 3)
             AND bool_or(NOT {_PAUSED.format(queue="job.queue", site="job.site")})),
    ARRAY({_SITES})
"""

_TAKE = f"""
WITH picked AS MATERIALIZED (
    SELECT job.n
    FROM (SELECT site COLLATE "C" AS site, most FROM unnest(%s::text[], %s::int[]) AS quota (site, most)) AS quota
    CROSS JOIN LATERAL (
        SELECT n FROM snqd_job WHERE state = 0 AND queue = %s AND site = quota.site
        ORDER BY n LIMIT quota.most FOR UPDATE SKIP LOCKED) AS job)
UPDATE snqd_job AS job SET state = 1, owner = %s FROM picked WHERE job.n = picked.n
RETURNING {", ".join(f"job.{column}" for column in FETCHED.split(", "))}
"""

# A whole claim in one small statement: the way of a single job through idle processes. It takes something only where
# all that is ready is of one site and one queue, nothing is due, and nobody is suspect. It is not durable.
TAKE_ONLY_SHARE_TYPES = ("bigint", "bigint", "text[]", "int[]")
"""The transaction's number (see :meth:`Statements.sign`), owner, queues, and how many jobs each has room for."""
TAKE_ONLY_SHARE = f"""
WITH signed AS (
    UPDATE snqd_owner SET last = $1 WHERE n = $2 RETURNING set_config('synchronous_commit', 'off', true)),
outlook AS MATERIALIZED (
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
        (SELECT due FROM snqd_job WHERE state = 2 ORDER BY due LIMIT 1) AS due,
        EXISTS (SELECT 1 FROM snqd_job WHERE state IN (3, 4)) AS suspect),
front AS MATERIALIZED (SELECT queue, site FROM snqd_job WHERE state = 0 ORDER BY queue, site, n LIMIT 1),
back AS MATERIALIZED (SELECT queue, site FROM snqd_job WHERE state = 0 ORDER BY queue DESC, site DESC, n DESC LIMIT 1),
share AS MATERIALIZED (
    SELECT front.queue, front.site, want.room
    FROM front JOIN back USING (queue, site) JOIN unnest($3, $4) AS want (queue, room) USING (queue)
    WHERE NOT {_PAUSED.format(queue="front.queue", site="front.site")}),
picked AS MATERIALIZED (
    SELECT job.n FROM outlook CROSS JOIN share CROSS JOIN LATERAL (
        SELECT n FROM snqd_job WHERE state = 0 AND queue = share.queue AND site = share.site
        ORDER BY n LIMIT share.room FOR UPDATE SKIP LOCKED) AS job
    WHERE NOT suspect AND (due IS NULL OR due > now)),
taken AS (
    UPDATE snqd_job AS job SET state = 1, owner = $2 FROM picked
    WHERE job.n = picked.n AND EXISTS (SELECT 1 FROM signed)
    RETURNING {", ".join(f"job.{column}" for column in FETCHED.split(", "))})
SELECT EXISTS (SELECT 1 FROM signed), outlook.now, outlook.due,
    NOT suspect AND (due IS NULL OR due > now) AND (EXISTS (SELECT 1 FROM share) OR NOT EXISTS (SELECT 1 FROM front)),
    taken.*
FROM outlook LEFT JOIN taken ON true
"""

# What a transaction writes bears its number in xmin.
_LET_GO = """
UPDATE snqd_job SET state = state - 1, owner = 0
WHERE state IN (1, 4) AND owner = %s AND xmin = (SELECT xmin FROM snqd_owner WHERE n = %s AND last = %s)
"""

_TAKE_SOLO = f"""
UPDATE snqd_job SET state = 4, owner = %s WHERE n = (
    SELECT n FROM snqd_job AS job
    WHERE state = 3 AND queue = ANY(%s::text[])
      AND NOT EXISTS (SELECT 1 FROM snqd_job WHERE state = 4 AND queue = ANY(%s::text[]))
      AND NOT {_PAUSED.format(queue="job.queue", site="job.site")}
    ORDER BY n LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {FETCHED}
"""

_ALONE = "SELECT version FROM snqd_schema WHERE kind = 'queue' FOR UPDATE"

_IS_READY = """
SELECT EXISTS (SELECT 1 FROM snqd_job WHERE state = 2 AND due <= extract(epoch FROM clock_timestamp()))
    OR EXISTS (SELECT 1 FROM unnest(%s::text[]) AS wanted (queue)
               WHERE EXISTS (SELECT 1 FROM snqd_job WHERE state = 0 AND snqd_job.queue = wanted.queue COLLATE "C"))
"""


# To be asked after the commit that added jobs to a queue that was not empty before. If it has an older job even then,
# whoever takes that looks once more: a claim that came short is followed by a look.
_NOTIFY = f"""
SELECT pg_notify('{CHANNEL}', %s)
WHERE EXISTS (SELECT 1 FROM unnest(%s::text[], %s::bigint[]) AS added (queue, n)
              WHERE NOT EXISTS (SELECT 1 FROM snqd_job AS job
                                WHERE job.state = 0 AND job.queue = added.queue COLLATE "C" AND job.n < added.n))
   OR %s AND NOT EXISTS (SELECT 1 FROM snqd_job WHERE state = 2 AND due < %s)
"""


def notify(connection: Connection, by: str, added: Added | None) -> None:
    """Tell those who listen: of the jobs `added` only if a queue had none that was ready, or none is due sooner; of
    anything else in any case.

    :param by: who tells; it does not hear that itself.
    """
    if added is None:
        connection.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}', %s)", (by,))
    else:
        due = (added.due is not None, added.due or 0.0)
        connection.exec_driver_sql(_NOTIFY, (by, list(added.first), list(added.first.values()), *due))


def only_share_arguments(rooms: Mapping[str, int]) -> list[str]:
    """The arguments of `TAKE_ONLY_SHARE` behind number and owner, as PostgreSQL writes them.

    :param rooms: how many jobs there is room for, by queue.
    """
    return [array(rooms), array(rooms.values())]


def only_share(rows: Sequence[Sequence[Any]], owner: int) -> tuple[bool, Outlook | None, list[Claimed]]:
    """What `TAKE_ONLY_SHARE` has answered: whether the owner is known, the outlook, and the jobs.

    The outlook is None, and nothing is taken, where there is more to do than to take jobs of one site and queue.
    """
    known, now, due, enough = rows[0][:4]
    taken = sorted((row[4:] for row in rows if row[4] is not None), key=lambda row: row[0])
    outlook = Outlook(now, due, frozenset(), {}) if enough else None
    return known, outlook, [claimed_of(row, owner) for row in taken]


def insert_one_arguments(job: Job, by: str) -> list[str | None]:
    """The arguments of `INSERT_ONE`, as PostgreSQL writes them."""
    *values, body = row_of(job)
    return [*(None if value is None else str(value) for value in values), BYTES + body.hex(), by]


def added(rows: Sequence[Sequence[Any]]) -> Added:
    """What a statement that adds jobs has answered."""
    first: dict[str, int] = {}
    for queue, n, _, told in rows:
        if n is not None and not told:
            first.setdefault(queue, n)
    return Added(first, min((due for _, _, due, _ in rows if due is not None), default=None))


def let_go(connection: Connection, owner: int, last: int) -> None:
    """Free what the owner's transaction of that number has taken, if it is the owner's last."""
    connection.exec_driver_sql(_LET_GO, (owner, owner, last))


class PostgresqlStatements:
    """See :class:`~snqd.stores.sql.statements.Statements`."""

    def sign(self, connection: Connection, owner: int, last: int, durable: bool) -> bool:
        """See :class:`Statements`."""
        return connection.exec_driver_sql(_SIGN if durable else _SIGN_FLEETINGLY, (last, owner)).rowcount == 1

    def insert(self, connection: Connection, jobs: Sequence[Job], by: str) -> Added:
        """See :class:`Statements`."""
        rows = [connection.exec_driver_sql(*_insertion(batch, by)).all() for batch in in_batches(jobs)]
        return added([row for batch in rows for row in batch])

    def acknowledge(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """See :class:`Statements`."""
        return _keys(connection, _ACKNOWLEDGE, (list(keys), owner))

    def retry(self, connection: Connection, owner: int, rows: Sequence[tuple[int, float, str, int]]) -> set[int]:
        """See :class:`Statements`."""
        keys, delays, reasons, attempted = (list(column) for column in zip(*rows, strict=True))
        return _keys(connection, _RETRY, (keys, delays, reasons, attempted, owner))

    def give_back(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """See :class:`Statements`."""
        return _keys(connection, _GIVE_BACK, (list(keys), owner))

    def outlook(self, connection: Connection, walks: Sequence[Walk]) -> Outlook:
        """See :class:`Statements`."""
        columns = (
            [walk.queue for walk in walks],
            [walk.after for walk in walks],
            [walk.limit for walk in walks],
            [walk.ordered for walk in walks],
        )
        now, due, suspects, shares = connection.exec_driver_sql(_OUTLOOK, columns).one()
        sites: dict[str, list[str]] = {}
        for queue, _, site in (share.partition(" ") for share in shares):
            sites.setdefault(queue, []).append(site)
        return Outlook(now, due, frozenset(suspects), sites)

    def promote(self, connection: Connection, now: float) -> None:
        """See :class:`Statements`."""
        connection.exec_driver_sql(_PROMOTE, (now,))

    def take(
        self, connection: Connection, owner: int, queue: str, quotas: Mapping[str, int]
    ) -> dict[str, list[Claimed]]:
        """See :class:`Statements`."""
        rows = connection.exec_driver_sql(_TAKE, (list(quotas), list(quotas.values()), queue, owner)).all()
        taken: dict[str, list[Claimed]] = {}
        for row in sorted(rows, key=lambda row: row[0]):
            taken.setdefault(row[2], []).append(claimed_of(row, owner))
        return taken

    def take_solo(self, connection: Connection, owner: int, queues: Collection[str]) -> list[Claimed]:
        """See :class:`Statements`."""
        rows = connection.exec_driver_sql(_TAKE_SOLO, (owner, list(queues), list(queues)))
        return [claimed_of(row, owner) for row in rows]

    def alone(self, connection: Connection) -> None:
        """See :class:`Statements`."""
        connection.exec_driver_sql(_ALONE)

    def is_ready(self, connection: Connection, queues: Collection[str]) -> bool:
        """See :class:`Statements`."""
        return bool(connection.exec_driver_sql(_IS_READY, (list(queues),)).scalar())


def _insertion(jobs: Sequence[Job], by: str) -> tuple[str, tuple[Any, ...]]:
    """The statement that adds `jobs`, and its arguments."""
    if len(jobs) == 1:
        return _INSERT_ONE, (*row_of(jobs[0]), by)
    *columns, bodies = zip(*(row_of(job) for job in jobs), strict=True)
    words = [f"{BYTES}{body.hex()}" for body in bodies]
    return _INSERT, (*(array(column) for column in columns), array(words), by)


def array(values: Iterable[str | float | None]) -> str:
    """An array as PostgreSQL writes it; the driver takes seven times as long to write a list's elements."""
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: str | float | None) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else str(value)


def _keys(connection: Connection, statement: str, arguments: tuple[Any, ...]) -> set[int]:
    return set(connection.exec_driver_sql(statement, arguments).scalars())
