"""The round trips of one job on PostgreSQL and nothing else: insert and notify, hear, take, remove."""

from __future__ import annotations

import select

import psycopg

from benchmarks.peers import work

TABLE = "CREATE TABLE IF NOT EXISTS job (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT NOT NULL)"
ADD = "WITH added AS (INSERT INTO job (body) VALUES (%s) RETURNING n) SELECT pg_notify('job', '') FROM added"
TAKE = "UPDATE job SET body = body WHERE n = (SELECT min(n) FROM job) RETURNING n, body"
SENDERS: list[psycopg.Connection] = []


def connect() -> psycopg.Connection:
    """A connection that prepares each statement, every statement a transaction."""
    connection = psycopg.connect(work.URL, autocommit=True, prepare_threshold=0)
    connection.execute(TABLE)
    return connection


def send(task: str, sent: object) -> None:
    """One job, on disk at return."""
    if not SENDERS:
        SENDERS.append(connect())
    SENDERS[0].execute(ADD, (str(sent),))


def serve(ear: psycopg.Connection, hand: psycopg.Connection) -> None:
    """Until it is killed. Taking a job need not be on disk before the job runs."""
    hand.execute("SET synchronous_commit = off")
    ear.execute("LISTEN job")
    while True:
        for n, sent in hand.execute(TAKE).fetchall():
            work.stamp(float(sent))
            hand.execute("DELETE FROM job WHERE n = %s", (n,))
        select.select([ear.fileno()], [], [])
        ear.pgconn.consume_input()
        while ear.pgconn.notifies():
            continue


if __name__ == "__main__":
    serve(connect(), connect())
