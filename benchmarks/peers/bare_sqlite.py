"""SQLite alone: rows claimed and deleted in fsynced transactions, and nothing else."""

from __future__ import annotations

import os
import random
import sqlite3
import time

from benchmarks.peers import work

BATCH = int(os.environ["SNQD_BENCHMARK_AT_ONCE"])
TABLE = "CREATE TABLE IF NOT EXISTS job (n INTEGER PRIMARY KEY, site TEXT, owner INTEGER DEFAULT 0, body BLOB)"
INDEX = "CREATE INDEX IF NOT EXISTS ready ON job (site, n) WHERE owner = 0"
CLAIM = "UPDATE job SET owner = ? WHERE n IN (SELECT n FROM job WHERE owner = 0 ORDER BY site, n LIMIT ?) RETURNING n"


def connect() -> sqlite3.Connection:
    """The database, its transactions on disk when they end."""
    connection = sqlite3.connect(work.URL, isolation_level=None, timeout=0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def fill(task: str, argument: object, number: int) -> None:
    """One transaction."""
    connection = connect()
    connection.execute("BEGIN")
    connection.execute(TABLE)
    connection.execute(INDEX)
    connection.executemany("INSERT INTO job (site, body) VALUES ('alpha', ?)", [(b"null",)] * number)
    connection.execute("COMMIT")


def drain(connection: sqlite3.Connection) -> None:
    """Settle a batch and claim the next, until nothing is left."""
    mine = os.getpid()
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            time.sleep(random.uniform(0.0001, 0.001))
            continue
        connection.execute("DELETE FROM job WHERE owner = ?", (mine,))
        taken = connection.execute(CLAIM, (mine, BATCH)).fetchall()
        connection.execute("COMMIT")
        if not taken:
            return
        for _ in taken:
            work.noop()


if __name__ == "__main__":
    drain(connect())
