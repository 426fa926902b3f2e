"""The loop that everybody writes: take rows with SKIP LOCKED, handle them, delete them, commit; and nothing else."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers import work

BATCH = int(os.environ["SNQD_BENCHMARK_AT_ONCE"])
MARIADB = work.URL.startswith("mariadb")
NUMBERED = "BIGINT AUTO_INCREMENT" if MARIADB else "BIGINT GENERATED ALWAYS AS IDENTITY"
TAKE = f"SELECT n, body FROM job ORDER BY n LIMIT {BATCH} FOR UPDATE SKIP LOCKED"


def connect() -> Any:
    """A connection of the driver that snqd uses too."""
    if not MARIADB:
        import psycopg

        return psycopg.connect(work.URL)
    import pymysql
    from sqlalchemy import make_url

    url = make_url(work.URL)
    return pymysql.connect(host=url.host, port=url.port or 3306, user=url.username, database=url.database)


def fill(task: str, argument: object, number: int) -> None:
    """One transaction."""
    connection = connect()
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE job (n {NUMBERED} PRIMARY KEY, body VARCHAR(100) NOT NULL)")
    cursor.executemany("INSERT INTO job (body) VALUES (%s)", [("null",)] * number)
    connection.commit()
    cursor.execute("ANALYZE TABLE job" if MARIADB else "ANALYZE job")
    connection.commit()


def drain(connection: Any) -> None:
    """Until nothing is left."""
    cursor = connection.cursor()
    while True:
        cursor.execute(TAKE)
        taken = [row[0] for row in cursor.fetchall()]
        for _ in taken:
            work.noop()
        if taken:
            places = ", ".join(["%s"] * len(taken))
            cursor.execute(f"DELETE FROM job WHERE n IN ({places})", taken)
        connection.commit()
        if not taken:
            return


if __name__ == "__main__":
    drain(connect())
