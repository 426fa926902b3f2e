"""``[handlers]``, ``[handler:QUEUE]`` and the entry points of installed packages to HandlerSettings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from snqd.config.daemon_sections import check_delay
from snqd.config.document import Document, free_entries, read_values, unknown_key
from snqd.config.ini import Section
from snqd.config.problems import Problems, did_you_mean, nearest
from snqd.config.schema import HANDLER, HANDLERS
from snqd.config.settings import HandlerSettings, QueueSettings
from snqd.config.targets import ENTRY_POINTS, read_plugin, read_target, takes_options
from snqd.config.values import BadValue
from snqd.core.errors import BadName
from snqd.core.names import check_queue


@attrs.frozen
class Handlers:
    """Every queue that the configuration or a package names.

    :ivar on: the settings of those that are handled, in the order of ``[handlers]``, then of the entry points.
    :ivar off: those that ``[handlers]`` switches off.
    :ivar known: all of them.
    """

    on: Mapping[str, HandlerSettings]
    off: frozenset[str]
    known: frozenset[str] = attrs.field(init=False)

    @known.default
    def _both(self) -> frozenset[str]:
        return self.off.union(self.on)

    def missing(self, queue: str) -> str:
        """What is wrong with naming `queue`, empty if a handler, if only one that is off, is known for it."""
        if queue in self.known:
            return ""
        return f"no handler is configured for queue {queue}{did_you_mean(nearest(queue, self.known))}"


@attrs.frozen
class _Target:
    text: str
    where: str


def read_handlers(document: Document, queue: QueueSettings, plugins: Mapping[str, str], problems: Problems) -> Handlers:
    """All handlers; a package's holds for its queue where ``[handlers]`` does not name that queue."""
    section = document.one(HANDLERS)
    targets = _configured(section, plugins, problems)
    targets |= _installed(plugins, section, targets, problems)
    own = document.labelled(HANDLER)
    handlers = Handlers(
        {
            name: _handler(name, target, own.get(name) or Section(section.file, f"handler:{name}"), queue, problems)
            for name, target in targets.items()
            if target is not None
        },
        frozenset(name for name, target in targets.items() if target is None),
    )
    for name, unused in own.items():
        if missing := handlers.missing(name):
            problems.at(unused, "", f"{missing}: add [handlers] {name} or remove the section")
    return handlers


def _configured(section: Section, plugins: Mapping[str, str], problems: Problems) -> dict[str, _Target | None]:
    targets: dict[str, _Target | None] = {}
    for queue, entry in section.entries.items():
        where = f"{section.file}:{entry.line}: [{section.name}] {queue}"
        try:
            check_queue(queue)
            if entry.value:
                target = read_target(entry.value, plugins, os.path.dirname(section.file))
                targets[queue] = None if target is None else _Target(target, where)
        except BadName as error:
            problems.at(section, queue, f"{error}; rename it")
        except BadValue as error:
            problems.at(section, queue, str(error))
            targets[queue] = _Target("", where)
    return targets


def _installed(
    plugins: Mapping[str, str], section: Section, configured: Mapping[str, object], problems: Problems
) -> dict[str, _Target | None]:
    targets: dict[str, _Target | None] = {}
    for queue, target in plugins.items():
        if queue in configured:
            continue
        try:
            check_queue(queue)
            targets[queue] = _Target(read_plugin(target), f"entry point {queue} of {ENTRY_POINTS}")
        except (BadName, BadValue) as error:
            problems.at(section, queue, f"entry point of {ENTRY_POINTS}: {error}")
    return targets


def _handler(
    queue: str, target: _Target, section: Section, defaults: QueueSettings, problems: Problems
) -> HandlerSettings:
    written = read_values(HANDLER, section, problems)
    options = free_entries(HANDLER, section)
    if not takes_options(target.text):
        for name in options:
            problems.at(section, name, unknown_key(name, HANDLER))
    settings = HandlerSettings(
        queue,
        target.text,
        options=options,
        where=target.where,
        retry_max_delay=defaults.retry_max_delay,
        written={**written, **options},
        **_filled(written, defaults),
    )
    if not problems.concern(section):
        check_delay(section, "retry_delay", settings.retry, problems)
    return settings


def _filled(written: Mapping[str, Any], defaults: QueueSettings) -> dict[str, Any]:
    values = dict(written)
    for key in HANDLER.keys:
        if key.inherited and values[key.name] is None:
            values[key.name] = getattr(defaults, key.name)
    return values
