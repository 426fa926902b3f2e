"""``snqctl check``: whether the daemon could start, and what is wrong where; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import click

from snqd.config.control_key import read_control_key
from snqd.config.schema import SUBSYSTEMS
from snqd.config.values import GNUSOCIAL_DB
from snqd.core.errors import ConfigError, SnqdError
from snqd.io.entry_points import ManagerFailed, load_factories, misplaced
from snqd.io.interface import Scope
from snqd.sites.site import Site
from snqd.snqctl.invocation import Invocation, complain, say
from snqd.stores.factory import control_channel_of, subsystem_of
from snqd.stores.subsystem import database_place

_NAMES_SHOWN = 8


@click.command()
@click.pass_obj
def check(invocation: Invocation) -> int:
    """Check configuration, sites, handlers and stores. Exit code 2 if something is wrong; each problem has a line."""
    settings = invocation.settings
    problems = [
        *_handlers(invocation),
        *_managers(),
        *_folder(invocation),
        *_stores(invocation),
        *_control_key(invocation),
    ]
    for problem in problems:
        complain(problem)
    if problems:
        return 2
    say(f"{settings.path} is fine")
    say(f"  sites     {_listed(settings.sites)}")
    say(f"  handlers  {_listed(settings.handlers)}")
    say(f"  groups    {_listed(settings.groups)}")
    say(f"  jobs      {subsystem_of(settings).place}")
    say(f"  morgue    {database_place(settings.queue.morgue)}")
    for note in _notes(invocation):
        say(f"  note      {note}")
    return 0


def _notes(invocation: Invocation) -> Iterator[str]:
    """What is no error, and not what the operator meant either."""
    settings = invocation.settings
    for key, note in subsystem_of(settings).notes():
        yield _located(invocation, "queue", key, note)
    for (_, site), name in settings.queue.breakout.items():
        if site and site not in settings.sites:
            yield _located(invocation, "queue", "breakout", f"{name}: no site {site} is known (yet)")
    yield from _doubtful_options(invocation)
    yield from misplaced(settings.groups)
    yield from _once_in_each_daemon(invocation)


def _once_in_each_daemon(invocation: Invocation) -> Iterator[str]:
    settings = invocation.settings
    channel = control_channel_of(settings)
    if channel is None or channel.farm_leases() is not None:
        return
    names = [f"[group:{group.name}] exclusive" for group in settings.groups.values() if group.exclusive]
    names += [
        f"I/O manager {factory.where}"
        for factory in load_factories()
        if factory.scope is Scope.SINGLE_ONLY and factory.group in settings.groups
    ]
    names += [f"[queue] foreign = {GNUSOCIAL_DB}"] if GNUSOCIAL_DB in settings.queue.foreign else []
    if names:
        problem = (
            f"a file, so that other daemons on the same brokers do not know of it: what runs once "
            f"({', '.join(names)}) runs once in each of them; name a database on a server"
        )
        yield _located(invocation, "queue", "morgue", problem)


def _doubtful_options(invocation: Invocation) -> Iterator[str]:
    from snqd.handlers.loading import find_class
    from snqd.handlers.misspelt_options import near_misses

    settings = invocation.settings
    sites = [Site(record, settings) for record in settings.sites.values() if record.overrides]
    for queue, daemon in settings.handlers.items():
        declared = find_class(daemon.target).own_options
        for option, problem in near_misses(daemon.options, declared).items():
            yield _located(invocation, f"handler:{queue}", option, problem)
        for site in sites:
            handler = site.handler(queue) or daemon
            own = handler.options.keys() - daemon.options.keys()
            for option, problem in near_misses(sorted(own), declared).items():
                source = settings.sites[site.nickname].source
                yield f"{source}: [site:{site.nickname}] handler:{queue}.{option}: {problem}"


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


def _managers() -> Iterator[str]:
    try:
        load_factories()
    except ManagerFailed as error:
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
    settings = invocation.settings
    yield from _store(invocation, SUBSYSTEMS[settings.queue.subsystem].key, subsystem_of(settings).problems)
    yield from _store(invocation, "morgue", lambda: _look_at_morgue(invocation))


def _control_key(invocation: Invocation) -> Iterator[str]:
    path = invocation.settings.queue.control_key_file
    if path is not None:
        try:
            read_control_key(path)
        except ConfigError as error:
            yield f"{invocation.settings.path}: {error}"


def _store(invocation: Invocation, key: str, look: Callable[[], Iterable[str]]) -> Iterator[str]:
    try:
        for problem in look():
            yield _located(invocation, "queue", key, problem)
    except ConfigError as error:
        yield f"{invocation.settings.path}: {error}"  # it names its key
    except SnqdError as error:
        yield _located(invocation, "queue", key, str(error))


def _look_at_morgue(invocation: Invocation) -> Iterable[str]:
    with invocation.morgue() as morgue:
        if morgue.exists():
            morgue.count()
    return ()


def _located(invocation: Invocation, section: str, key: str, problem: str) -> str:
    return f"{invocation.settings.path}: [{section}] {key}: {problem}"


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f", and {len(known) - _NAMES_SHOWN} more" if len(known) > _NAMES_SHOWN else ""
    return f"{len(known)} ({', '.join(known[:_NAMES_SHOWN])}{more})" if known else "none"
