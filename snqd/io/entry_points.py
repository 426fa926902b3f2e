"""I/O managers that other packages bring, by the entry point group ``snqd.io_managers``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

import attrs

from snqd.core.errors import SnqdError
from snqd.io.interface import IIoManager, IoContext, Scope

GROUP = "snqd.io_managers"
Factory = Callable[[IoContext], IIoManager]


class ManagerFailed(SnqdError):
    """An I/O manager could not be made or started."""


def third_party_managers(
    context: IoContext, sites: Sequence[str], single: bool, found: Iterable[EntryPoint] | None = None
) -> list[IIoManager]:
    """Make the managers that installed packages register: `factory(context)` each, `factory.scope` says how often.

    :param sites: nicknames, for factories with one instance per site.
    :param single: whether this child is the one that runs managers of scope SINGLE_ONLY.
    :param found: the entry points, by default those installed.
    :raises ManagerFailed: naming the entry point.
    """
    chosen = entry_points(group=GROUP) if found is None else found
    return [
        manager for point in sorted(chosen, key=lambda p: p.name) for manager in _make(point, context, sites, single)
    ]


def managers_of_sites(
    context: IoContext, sites: Iterable[str], found: Iterable[EntryPoint] | None = None
) -> dict[str, list[IIoManager]]:
    """Make the managers of scope INSTANCE_PER_SITE that installed packages register, by site.

    :param sites: nicknames.
    :raises ManagerFailed: naming the entry point.
    """
    chosen = entry_points(group=GROUP) if found is None else found
    points = [point for point in sorted(chosen, key=lambda p: p.name) if _is_per_site(point)]
    if not points:
        return {}
    return {site: [manager for point in points for manager in _make(point, context, [site], False)] for site in sites}


def _is_per_site(point: EntryPoint) -> bool:
    try:
        return getattr(point.load(), "scope", None) is Scope.INSTANCE_PER_SITE
    except Exception as error:
        raise _unusable(point, error) from error


def _make(point: EntryPoint, context: IoContext, sites: Sequence[str], single: bool) -> list[IIoManager]:
    try:
        factory: Factory = point.load()
        return [factory(each) for each in _contexts(factory, context, sites, single)]
    except Exception as error:
        raise _unusable(point, error) from error


def _unusable(point: EntryPoint, error: Exception) -> ManagerFailed:
    return ManagerFailed(
        f"entry point {point.name} = {point.value} of group {GROUP} can't be used: {error!r}; "
        "repair or uninstall the package that brings it"
    )


def _contexts(factory: Factory, context: IoContext, sites: Sequence[str], single: bool) -> list[IoContext]:
    scope = getattr(factory, "scope", Scope.INSTANCE_PER_PROCESS)
    if scope is Scope.INSTANCE_PER_SITE:
        return [attrs.evolve(context, site=site) for site in sites]
    return [context] if single or scope is Scope.INSTANCE_PER_PROCESS else []
