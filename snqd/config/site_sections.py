"""``[site:NAME]`` to SiteSettings: flat records, since there may be ten thousand; ``[app:NAME]`` to its text."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import attrs

from snqd.config.daemon_sections import check_delay
from snqd.config.document import Document, free_entries, read_into, unknown_key
from snqd.config.handler_sections import Handlers
from snqd.config.ini import Section
from snqd.config.key import Key, PerSite
from snqd.config.problems import Problems
from snqd.config.schema import APP, HANDLER, KINDS, SITE, SITE_ALONE
from snqd.config.settings import HandlerSettings, QueueSettings, SiteSettings
from snqd.config.targets import OFF, takes_options
from snqd.core.retry import RetryPolicy

APP_PREFIX = "app."
HANDLER_PREFIX = "handler:"
HANDLERS_PREFIX = "handlers."
NO_OVERRIDES: Mapping[str, str] = {}


def read_apps(document: Document) -> dict[str, Mapping[str, str]]:
    """``[app:NAME]`` by NAME."""
    return {name: free_entries(APP, section) for name, section in document.labelled(APP).items()}


def read_sites(
    document: Document, queue: QueueSettings, handlers: Handlers, problems: Problems
) -> dict[str, SiteSettings]:
    """Every site by nickname, in the order of the files."""
    reader = _SiteReader(queue, handlers, problems)
    return {nickname: reader.read(nickname, section) for nickname, section in document.labelled(SITE).items()}


def queue_and_key(override: str, queues: Container[str]) -> tuple[str, str] | None:
    """The parts of ``handler:QUEUE.KEY``: QUEUE is the longest that is one of `queues`, since both may have dots."""
    rest = override.removeprefix(HANDLER_PREFIX)
    dot = rest.rfind(".")
    while dot > 0:
        if rest[:dot] in queues and dot + 1 < len(rest):
            return rest[:dot], rest[dot + 1 :]
        dot = rest.rfind(".", 0, dot)
    return None


@attrs.frozen
class _SiteReader:
    """Reads one site after the other against the daemon's own settings."""

    queue: QueueSettings
    handlers: Handlers
    problems: Problems

    def read(self, nickname: str, section: Section) -> SiteSettings:
        own = dict(SITE_ALONE.defaults)
        others: dict[str, Any] = {}
        overrides: dict[str, str] = {}
        for name, entry in section.entries.items():
            key = SITE.by_name.get(name)
            if key is not None:
                read_into(own if name in own else others, name, section, key.read, self.problems)
            if name not in own and entry.value and (key or self._accepts(section, name)):
                overrides[name] = entry.value
        if overrides:
            self._check_delays(section, others)
        own["server"] = own["server"] or nickname
        own["name"] = own["name"] or nickname
        return SiteSettings(nickname, section.file, overrides or NO_OVERRIDES, **own)

    def _accepts(self, section: Section, name: str) -> bool:
        """Whether the key `name`, which is none of the fixed ones, is right and has an effect."""
        if name.startswith(HANDLERS_PREFIX):
            return self._accepts_off(section, name)
        if name.startswith(HANDLER_PREFIX):
            return self._accepts_handler_key(section, name)
        app, dot, key = name.removeprefix(APP_PREFIX).partition(".")
        if not name.startswith(APP_PREFIX):
            self.problems.at(section, name, _unknown(name))
        elif not (app and dot and key):
            self.problems.at(section, name, "names no setting of an app: write app.NAME.KEY")
        return True

    def _accepts_off(self, section: Section, name: str) -> bool:
        queue = name.removeprefix(HANDLERS_PREFIX)
        if missing := self.handlers.missing(queue):
            self.problems.at(section, name, f"{missing}: correct or remove it")
        elif section.entries[name].value not in ("", OFF):
            self.problems.at(section, name, f"a site may only switch a handler off: write {OFF} or remove it")
        return queue in self.handlers.on

    def _accepts_handler_key(self, section: Section, name: str) -> bool:
        found = queue_and_key(name, self.handlers.known)
        if found is None:
            queue = name.removeprefix(HANDLER_PREFIX).rpartition(".")[0]
            problem = self.handlers.missing(queue) if queue else "names no key: write handler:QUEUE.KEY"
            self.problems.at(section, name, f"{problem}: correct or remove it" if queue else problem)
            return False
        queue, key = found
        if queue in self.handlers.off:
            return False
        declared = HANDLER.by_name.get(key)
        if declared:
            self._check_handler_key(section, name, declared, self.handlers.on[queue])
        elif key.lower() in HANDLER.by_name:
            self.problems.at(section, name, f"unknown key: write {HANDLER_PREFIX}{queue}.{key.lower()}")
        elif not takes_options(self.handlers.on[queue].target):
            self.problems.at(section, name, unknown_key(key, HANDLER))
        return True

    def _check_handler_key(self, section: Section, name: str, key: Key, daemon: HandlerSettings) -> None:
        if key.per_site is PerSite.NO:
            self.problems.at(
                section, name, f"{key.name} is the daemon's to set, in [handler:{daemon.queue}]: remove it here"
            )
            return
        read: dict[str, Any] = {}
        read_into(read, name, section, key.read, self.problems)
        limit = self._limit(key.name, daemon) if key.per_site is PerSite.UP_TO_THE_DAEMONS else None
        if limit is not None and read.get(name, 0) > limit:
            self.problems.at(
                section,
                name,
                f"{section.entries[name].value} is above the daemon's {limit:.12g}: lower it, "
                f"or raise [handler:{daemon.queue}] {key.name}",
            )

    def _limit(self, name: str, daemon: HandlerSettings) -> float:
        own: float | None = getattr(daemon, name)
        limit: float = getattr(self.queue, name) if own is None else own
        return limit

    def _check_delays(self, section: Section, values: Mapping[str, Any]) -> None:
        """Check the site's first delays against the longest one that applies to it."""
        if self.problems.concern(section):
            return
        longest = values.get("queue.retry_max_delay", self.queue.retry_max_delay)
        for name, entry in section.entries.items():
            if entry.value and (name == "queue.retry_delay" or _is_handler_delay(name, self.handlers.on)):
                delay = HANDLER.by_name["retry_delay"].read(entry.value)
                check_delay(section, name, RetryPolicy(delay=delay, max_delay=longest), self.problems)


def _is_handler_delay(name: str, queues: Container[str]) -> bool:
    if not name.startswith(HANDLER_PREFIX):
        return False
    found = queue_and_key(name, queues)
    return found is not None and found[1] == "retry_delay"


def _unknown(name: str) -> str:
    section, _, key = name.partition(".")
    if section in KINDS and key in KINDS[section].by_name:
        return f"{key} of [{section}] is the daemon's alone: remove it here"
    return unknown_key(name, SITE)
