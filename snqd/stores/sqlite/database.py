"""QueueDatabase: what can be done to the embedded queue, one method each.

Synchronous: for the store's writer thread, for snqctl and for programs that only enqueue.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from snqd.core.clocks import unix_time
from snqd.core.job import JSON, Job
from snqd.stores.interface import Depth, Pauses, Receipt
from snqd.stores.settlement import Settlement
from snqd.stores.sqlite.claim import HELD, READY
from snqd.stores.sqlite.connection import PATIENCE, SqliteFile
from snqd.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS

_COLUMNS = "id, site, queue, encoding, created, attempt, due, solo, reason, body"

_INSERT = f"INSERT INTO job ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS BLOB))"

# One row of JSON and one step, for the reason given in claim.py.
_INSERT_TEXTS = f"""
INSERT INTO job ({_COLUMNS})
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, CAST(value ->> 9 AS BLOB)
FROM json_each(?)
"""

_MINE = "n IN (SELECT value FROM json_each(?)) AND owner = ?"

_RETRY = """
UPDATE job SET owner = 0, solo = solo AND NOT value ->> 3, attempt = attempt + (value ->> 3),
    due = CAST(value ->> 1 AS REAL), reason = value ->> 2
FROM json_each(?) WHERE n = value ->> 0 AND owner = ?
"""

_RECOVER_SUSPECTS = f"""
UPDATE job SET owner = 0, solo = 1, attempt = attempt + 1, reason = :cause
WHERE n IN (SELECT n FROM job INDEXED BY job_held WHERE owner = :owner AND {HELD}
            AND id IN (SELECT value FROM json_each(:suspects)))
"""

_RECOVER_INNOCENTS = f"""
UPDATE job SET owner = 0 WHERE n IN (SELECT n FROM job INDEXED BY job_held WHERE owner = :owner AND {HELD})
"""

_DEPTHS = f"""
SELECT queue, site, sum(waiting), sum(delayed), sum(claimed), min(oldest) FROM (
    SELECT queue, site, count(*) AS waiting, 0 AS delayed, 0 AS claimed,
        (SELECT created FROM job AS first INDEXED BY job_ready
         WHERE first.queue = job.queue AND first.site = job.site AND {READY} ORDER BY first.n LIMIT 1) AS oldest
    FROM job INDEXED BY job_ready WHERE {READY} GROUP BY queue, site
    UNION ALL
    SELECT queue, site, sum(owner = 0 AND due = 0), sum(due <> 0), sum(owner <> 0),
        min(CASE WHEN owner = 0 AND due = 0 THEN created END)
    FROM job INDEXED BY job_held WHERE {HELD} GROUP BY queue, site)
GROUP BY queue, site
"""


def insert(connection: sqlite3.Connection, jobs: Iterable[Job]) -> None:
    """Add `jobs` in their order, inside a transaction."""
    rows = [(_row(job), job.body, _text(job)) for job in jobs]
    texts = [(*row, text) for row, _, text in rows if text is not None]
    if len(texts) < len(rows):
        connection.executemany(_INSERT, [(*row, body) for row, body, _ in rows])
    elif texts:
        connection.execute(_INSERT_TEXTS, (json.dumps(texts),))


def _row(job: Job) -> tuple[Any, ...]:
    when = (job.created, job.attempt, job.not_before)
    return (job.id, job.site, job.queue, job.encoding, *when, int(job.solo), job.reason)


def _text(job: Job) -> str | None:
    """The body where SQLite's JSON functions can carry it unchanged."""
    if job.encoding != JSON or b"\0" in job.body:
        return None
    try:
        return job.body.decode()
    except UnicodeDecodeError:
        return None


def settle(connection: sqlite3.Connection, settlement: Settlement, now: float) -> set[Receipt]:
    """Do what `settlement` says, inside a transaction, follow-up jobs first; returns the receipts that were good.

    :param now: Unix seconds, from which delays count.
    """
    good: set[Receipt] = set()
    for epoch, part in settlement.by_epoch().items():
        good |= _settle_epoch(connection, epoch, part, now)
    return good


def _settle_epoch(connection: sqlite3.Connection, epoch: int, part: Settlement, now: float) -> set[Receipt]:
    receipts = part.receipts
    keys = json.dumps([receipt.key for receipt in receipts])
    (text,) = connection.execute(f"SELECT json_group_array(n) FROM job WHERE {_MINE}", (keys, epoch)).fetchone()
    mine = set(json.loads(text))
    insert(connection, [job for receipt, jobs in part.acks if receipt.key in mine for job in jobs])
    if part.acks:
        acked = json.dumps([receipt.key for receipt, _ in part.acks])
        connection.execute(f"DELETE FROM job WHERE {_MINE}", (acked, epoch))
    if part.retries:
        # A due of 0 means ready; a retry without a delay is due now.
        rows = [
            (receipt.key, now + delay, reason, int(attempted)) for receipt, delay, reason, attempted in part.retries
        ]
        connection.execute(_RETRY, (json.dumps(rows), epoch))
    if part.given_back:
        freed = json.dumps([receipt.key for receipt in part.given_back])
        connection.execute(f"UPDATE job SET owner = 0 WHERE {_MINE}", (freed, epoch))
    return {receipt for receipt in receipts if receipt.key in mine}


def register(connection: sqlite3.Connection, name: str) -> int:
    """Make `name` a new owner of claims, inside a transaction; returns its number."""
    cursor = connection.execute("INSERT INTO owner (name) VALUES (?)", (name,))
    return int(cursor.lastrowid or 0)


def register_again(connection: sqlite3.Connection, name: str) -> int:
    """Make `name` an owner after it has lost its registration, inside a transaction; returns its number, the same to
    several who ask at once."""
    row = connection.execute("SELECT n FROM owner WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row is not None else register(connection, name)


def recover(connection: sqlite3.Connection, name: str, suspects: Collection[str], cause: str) -> int:
    """Free what the owner `name` had claimed, inside a transaction; see :meth:`IStore.recover`."""
    row = connection.execute("SELECT n FROM owner WHERE name = ?", (name,)).fetchone()
    if row is None:
        return 0
    arguments = {"owner": row[0], "suspects": json.dumps(list(suspects)), "cause": cause}
    freed = connection.execute(_RECOVER_SUSPECTS, arguments).rowcount
    freed += connection.execute(_RECOVER_INNOCENTS, arguments).rowcount
    connection.execute("DELETE FROM owner WHERE n = ?", row)
    return freed


def beat(connection: sqlite3.Connection, owner: int) -> tuple[bool, list[tuple[str, int]]]:
    """Show that `owner` lives, inside a transaction; returns whether it is known, and the other owners' names and
    beats."""
    known = connection.execute("UPDATE owner SET beat = beat + 1 WHERE n = ?", (owner,)).rowcount == 1
    return known, connection.execute("SELECT name, beat FROM owner WHERE n <> ?", (owner,)).fetchall()


class QueueDatabase:
    """The embedded queue, for one thread at a time.

    Every method raises :class:`~snqd.core.errors.StoreError` where the file does not take part.

    :param patience: seconds to wait for other writers.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.file = SqliteFile(path, "queue", APPLICATION_ID, MIGRATIONS, patience=patience)

    def open(self) -> None:
        """Connect, making the file where there is none; every other method does it too."""
        self.file.open()

    def close(self) -> None:
        """Disconnect."""
        self.file.close()

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """Accept `jobs`, all or none; they are durable at return."""
        with self.file.transaction() as connection:
            insert(connection, jobs)

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """Stop, or go on, handing out jobs; see :meth:`IStore.pause`."""
        with self.file.transaction() as connection:
            set_pause(connection, queue, site, paused)

    def pauses(self) -> Pauses:
        """What is paused."""
        connection = self.file.open()
        with self.file.errors_in_words():
            return read_pauses(connection)

    def depths(self) -> list[Depth]:
        """What waits, by queue and site; takes a second for some million jobs."""
        connection = self.file.open()
        with self.file.errors_in_words():
            return read_depths(connection, unix_time())


def set_pause(connection: sqlite3.Connection, queue: str | None, site: str | None, paused: bool) -> None:
    """Write down, inside a transaction, that a queue, a site or a site's share of a queue is paused, or no longer."""
    if paused:
        connection.execute("INSERT OR IGNORE INTO pause (queue, site) VALUES (?, ?)", (queue or "", site or ""))
    else:
        connection.execute("DELETE FROM pause WHERE queue = ? AND site = ?", (queue or "", site or ""))


def read_pauses(connection: sqlite3.Connection) -> Pauses:
    """What is paused."""
    rows = connection.execute("SELECT queue, site FROM pause").fetchall()
    return Pauses(
        frozenset(queue for queue, site in rows if not site),
        frozenset(site for queue, site in rows if not queue),
        frozenset((queue, site) for queue, site in rows if queue and site),
    )


def read_depths(connection: sqlite3.Connection, now: float) -> list[Depth]:
    """What waits, by queue and site.

    :param now: Unix seconds.
    """
    return [
        Depth(queue, site, waiting, delayed, claimed, None if oldest is None else max(now - oldest, 0.0))
        for queue, site, waiting, delayed, claimed, oldest in connection.execute(_DEPTHS)
    ]
