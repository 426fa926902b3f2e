"""Huey on SQLite with synchronous FULL, results not kept, its default polling."""

from __future__ import annotations

from huey import SqliteHuey

from benchmarks.peers import work

huey = SqliteHuey(filename=work.URL, fsync=True, results=False)
TASKS = {each.__name__: huey.task()(each) for each in (work.noop, work.wait, work.stamp)}


def send(task: str, argument: object) -> None:
    """One job."""
    TASKS[task](argument)


def fill(task: str, argument: object, number: int) -> None:
    """One by one: it has no other way."""
    for _ in range(number):
        send(task, argument)
