"""One value of the settings by section and key, as the file names them: for I/O managers, which see no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snqd.config.problems import did_you_mean, nearest
from snqd.config.schema import APP, GROUP, HANDLER, HANDLERS, KINDS, QUEUE, SITES, SNQD
from snqd.config.settings import Settings
from snqd.core.errors import SnqdError


class UnknownKey(SnqdError):
    """The configuration has no such section or key."""


def value_of(settings: Settings, section: str, key: str) -> Any:
    """The value of ``[section] key`` as the settings have it: durations in seconds, sizes in bytes, paths absolute; the
    default where no file sets it.

    Of ``[app:NAME]``, ``[handlers]`` and a handler's own options: the text, None where no file sets it.

    :raises UnknownKey: also for ``[site:NAME]``, whose values each site tells itself.
    """
    name, _, label = section.partition(":")
    if name not in _RECORDS or bool(label) is not bool(KINDS[name].label):
        raise UnknownKey(f"there is no section [{section}] to read{did_you_mean(nearest(name, _RECORDS))}")
    record, others = _RECORDS[name](settings, label)
    if record is None and others is None:
        raise UnknownKey(f"{settings.path} has no section [{section}]")
    kind = KINDS[name]
    if key in kind.by_name:
        return getattr(record, key)
    if others is None:
        raise UnknownKey(f"section [{section}] has no key {key}{did_you_mean(nearest(key, kind.by_name))}")
    return others.get(key)


# The record that has the keys of the schema, and the texts of an open section.
Found = tuple[object | None, Mapping[str, str] | None]


def _handlers(settings: Settings, label: str) -> Found:
    return None, {queue: handler.target for queue, handler in settings.handlers.items()}


def _handler(settings: Settings, label: str) -> Found:
    handler = settings.handlers.get(label)
    return (None, None) if handler is None else (handler, handler.options)


_RECORDS: Mapping[str, Callable[[Settings, str], Found]] = {
    SNQD.name: lambda settings, label: (settings.daemon, None),
    QUEUE.name: lambda settings, label: (settings.queue, None),
    SITES.name: lambda settings, label: (settings.sites_from, None),
    GROUP.name: lambda settings, label: (settings.groups.get(label), None),
    HANDLERS.name: _handlers,
    HANDLER.name: _handler,
    APP.name: lambda settings, label: (None, settings.apps.get(label, {})),
}
