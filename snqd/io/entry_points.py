"""I/O managers that installed packages bring, by the entry point group ``snqd.io_managers``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

import attrs
from twisted.logger import Logger
from zope.interface.verify import verifyObject

from snqd.config.group_sections import MAIN
from snqd.core.errors import SnqdError
from snqd.io.context import ChildServices, IoContext
from snqd.io.interface import IIoManager, Scope
from snqd.io.plugin_manager import PluginManager

GROUP = "snqd.io_managers"
Factory = Callable[[IoContext], IIoManager]
_log = Logger()


class ManagerFailed(SnqdError):
    """An I/O manager could not be made or started."""


@attrs.frozen
class Place:
    """Where a child stands.

    :ivar group: its group of children.
    :ivar first: whether it is the first child of it.
    """

    group: str
    first: bool

    def runs(self, factory: PluginFactory) -> bool:
        """Whether this child runs the managers of `factory`: the one place that says where something runs once."""
        if factory.group != self.group:
            return False
        return self.first or factory.scope is not Scope.SINGLE_ONLY


@attrs.frozen
class PluginFactory:
    """What an entry point names.

    :ivar name: the entry point's.
    :ivar where: the same with what it stands for, for messages.
    :ivar make: makes a manager, given its context.
    :ivar bundled: whether snqd itself brings it.
    """

    name: str
    where: str
    make: Factory
    scope: Scope
    group: str
    bundled: bool = False

    def manager(self, services: ChildServices, site: str | None = None) -> PluginManager:
        """A new manager.

        :raises ManagerFailed: naming the entry point.
        """
        context = IoContext(services, self.name if site is None else f"{self.name}:{site}", site)
        try:
            made = self.make(context)
            verifyObject(IIoManager, made)
        except Exception as error:
            raise _unusable(self.where, error) from error
        return PluginManager(made, self.scope, context)


def third_party_managers(
    services: ChildServices, place: Place, found: Iterable[EntryPoint] | None = None
) -> list[PluginManager]:
    """Make the managers that a child in `place` runs for all sites.

    :param found: the entry points, by default those installed.
    :raises ManagerFailed: naming the entry point.
    """
    return [
        factory.manager(services)
        for factory in load_factories(found)
        if factory.scope is not Scope.INSTANCE_PER_SITE and place.runs(factory)
    ]


def managers_of_sites(
    services: ChildServices, place: Place, sites: Iterable[str], found: Iterable[EntryPoint] | None = None
) -> dict[str, list[PluginManager]]:
    """Make the managers of scope INSTANCE_PER_SITE that a child in `place` runs, by site.

    :param sites: nicknames.
    :raises ManagerFailed: naming the entry point.
    """
    factories = [
        factory for factory in load_factories(found) if factory.scope is Scope.INSTANCE_PER_SITE and place.runs(factory)
    ]
    return {site: [factory.manager(services, site) for factory in factories] for site in sites} if factories else {}


def misplaced(groups: Collection[str], found: Iterable[EntryPoint] | None = None) -> Iterator[str]:
    """A line for each factory of another package whose group is not configured; snqd's own have a group when they are
    switched on.

    :param groups: those configured.
    :raises ManagerFailed: naming an entry point that can't be loaded.
    """
    for factory in load_factories(found):
        if factory.group not in groups and not factory.bundled:
            yield (
                f"I/O manager {factory.where} does not run: it belongs to group "
                f"{factory.group}, add a [group:{factory.group}] section"
            )


def warn_of_misplaced(groups: Collection[str]) -> None:
    """Log these lines."""
    for line in misplaced(groups):
        _log.warn("{line}", line=line)


def load_factories(found: Iterable[EntryPoint] | None = None) -> list[PluginFactory]:
    """What installed packages register, by the entry point's name.

    :raises ManagerFailed: naming the first entry point that can't be loaded.
    """
    chosen = entry_points(group=GROUP) if found is None else found
    return [_load(point) for point in sorted(chosen, key=lambda point: point.name)]


def _load(point: EntryPoint) -> PluginFactory:
    where = f"{point.name} = {point.value}"
    try:
        factory = factory_of(point.name, point.load(), where)
    except Exception as error:
        raise _unusable(where, error) from error
    return attrs.evolve(factory, bundled=point.value.startswith("snqd."))


def factory_of(name: str, make: Factory, where: str = "") -> PluginFactory:
    """What an entry point `name` that stands for `make` brings.

    :raises TypeError, ValueError: if its scope or group is none.
    """
    scope = Scope(getattr(make, "scope", Scope.INSTANCE_PER_PROCESS))
    group = getattr(make, "group", MAIN)
    if not isinstance(group, str):
        raise TypeError(f"its group is {group!r}: give a group's name")
    return PluginFactory(name, where or name, make, scope, group)


def _unusable(where: str, error: Exception) -> ManagerFailed:
    return ManagerFailed(
        f"entry point {where} of group {GROUP} can't be used: {error!r}; repair or uninstall the package that brings it"
    )
