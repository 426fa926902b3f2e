"""Procrastinate on PostgreSQL, as its command runs it, its tables analyzed before a drain, warnings logged only."""

from __future__ import annotations

import asyncio

import procrastinate
import psycopg

from benchmarks.peers import work

BATCH = 1000
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=work.URL))
OPENED: list[procrastinate.App] = []


@app.task(queue=work.NAME, name="noop")
async def noop(argument: object) -> None:
    """Nothing."""
    work.noop()


@app.task(queue=work.NAME, name="wait")
async def wait(argument: float) -> None:
    """Waits without a thread."""
    await asyncio.sleep(argument)
    work.noop()


@app.task(queue=work.NAME, name="stamp")
async def stamp(argument: float) -> None:
    """Notes how long it has waited."""
    work.stamp(argument)


def send(task: str, argument: object) -> None:
    """One job."""
    _open()
    app.configure_task(task, queue=work.NAME).defer(argument=argument)


def fill(task: str, argument: object, number: int) -> None:
    """In batches."""
    _open()
    for left in range(number, 0, -BATCH):
        jobs = [{"argument": argument}] * min(BATCH, left)
        app.configure_task(task, queue=work.NAME).batch_defer(*jobs)
    with psycopg.connect(work.URL, autocommit=True) as connection:
        connection.execute("ANALYZE")


def _open() -> None:
    if not OPENED:
        OPENED.append(app.open())
        with psycopg.connect(work.URL) as connection:
            made = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        if made == (None,):
            app.schema_manager.apply_schema()
