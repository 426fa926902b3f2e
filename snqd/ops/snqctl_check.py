"""``snqctl check``: whether the daemon could start, and what is wrong where; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from snqd.core.errors import SnqdError
from snqd.ops.snqctl_invocation import Invocation, complain, say
from snqd.stores.morgue import Morgue
from snqd.stores.sqlite.database import QueueDatabase

_NAMES_SHOWN = 8


@click.command()
@click.pass_obj
def check(invocation: Invocation) -> int:
    """Check configuration, sites, handlers and stores. Exit code 2 if something is wrong; each problem has a line."""
    settings = invocation.settings
    problems = [*_handlers(invocation), *_folder(invocation), *_stores(invocation)]
    for problem in problems:
        complain(problem)
    if problems:
        return 2
    say(f"{settings.path} is fine")
    say(f"  sites     {_listed(settings.sites)}")
    say(f"  handlers  {_listed(settings.handlers)}")
    say(f"  groups    {_listed(settings.groups)}")
    for name, path in (("jobs", settings.queue.db), ("morgue", settings.queue.morgue)):
        say(f"  {name:<8}  {path}{'' if path.exists() else ' (made when it is first needed)'}")
    return 0


def _handlers(invocation: Invocation) -> Iterator[str]:
    from twisted.internet import reactor

    from snqd.handlers.loading import HandlerLoadError
    from snqd.handlers.registry import HandlerRegistry

    # One by one: the first that is wrong must not hide the others.
    for queue, settings in invocation.settings.handlers.items():
        try:
            HandlerRegistry(reactor, {queue: settings}).load()
        except HandlerLoadError as error:
            yield str(error)


def _folder(invocation: Invocation) -> Iterator[str]:
    state_dir = invocation.settings.daemon.state_dir
    place = state_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        yield _located(invocation, "snqd", "state_dir", f"{state_dir} can't be made: {place} is no folder")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield _located(invocation, "snqd", "state_dir", f"{state_dir} can't be written to: check the rights of {place}")


def _stores(invocation: Invocation) -> Iterator[str]:
    queue = invocation.settings.queue
    yield from _store(invocation, "db", queue.db, lambda: _look_at_queue(queue.db))
    yield from _store(invocation, "morgue", queue.morgue, lambda: _look_at_morgue(queue.morgue))


def _store(invocation: Invocation, key: str, path: Path, look: Callable[[], object]) -> Iterator[str]:
    if not path.exists():  # what is not there yet is made by whoever needs it first
        return
    try:
        look()
    except SnqdError as error:
        yield _located(invocation, "queue", key, str(error))


def _look_at_queue(path: Path) -> None:
    database = QueueDatabase(path)
    try:
        database.pauses()
        database.depths()
    finally:
        database.close()


def _look_at_morgue(path: Path) -> None:
    morgue = Morgue(path)
    try:
        morgue.count()
    finally:
        morgue.close()


def _located(invocation: Invocation, section: str, key: str, problem: str) -> str:
    return f"{invocation.settings.path}: [{section}] {key}: {problem}"


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f", and {len(known) - _NAMES_SHOWN} more" if len(known) > _NAMES_SHOWN else ""
    return f"{len(known)} ({', '.join(known[:_NAMES_SHOWN])}{more})" if known else "none"
