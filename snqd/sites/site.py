"""Site: one tenant, as its handlers and the queue manager see it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

from snqd.config.settings import HandlerSettings, Settings, SiteSettings
from snqd.config.site_sections import APP_PREFIX, HANDLER_PREFIX, HANDLERS_PREFIX, queue_and_key
from snqd.core.retry import RetryPolicy
from snqd.sites.layers import layered_handler, layered_retry

Default = TypeVar("Default")


class Site:
    """A site, its settings layered over the daemon's at first use.

    :param record: what the site says itself.
    :param settings: the daemon's.
    :ivar nickname: its key.
    :ivar server: its host name.
    :ivar name: for people.
    :ivar weight: its share of handler seconds, relative to other sites'.
    """

    def __init__(self, record: SiteSettings, settings: Settings) -> None:
        self.nickname = record.nickname
        self.server = record.server
        self.name = record.name
        self.weight = record.weight
        self._overrides = record.overrides
        self._settings = settings
        self._handlers: dict[str, HandlerSettings | None] = {}

    def __repr__(self) -> str:
        return f"<Site {self.nickname}>"

    def config(self, app: str, key: str, default: Default | None = None) -> str | Default | None:
        """The site's ``app.APP.KEY``, else ``[app:APP] KEY``, as text, else `default`."""
        own = self._overrides.get(f"{APP_PREFIX}{app}.{key}")
        if own is not None:
            return own
        return self._settings.apps.get(app, {}).get(key, default)

    def handler(self, queue: str) -> HandlerSettings | None:
        """How the site's jobs of `queue` are handled; None if nobody handles it or the site has it switched off.

        The daemon's own record, the same object, wherever the site says nothing about it.
        """
        if not self._overrides:
            return self._settings.handlers.get(queue)
        # Names that no configuration has are not cached: they come with jobs, and there is no end to them.
        if queue in self._settings.handlers and queue not in self._handlers:
            self._handlers[queue] = self._layered(queue)
        return self._handlers.get(queue)

    def retry_policy(self, queue: str) -> RetryPolicy:
        """When the site's jobs of `queue` are tried again, also where no handler serves it."""
        handler = self.handler(queue)
        return self._queue_retry if handler is None else handler.retry

    @cached_property
    def _queue_retry(self) -> RetryPolicy:
        return layered_retry(self._settings.queue.retry, self._overrides)

    @cached_property
    def _handler_keys(self) -> Mapping[str, Mapping[str, str]]:
        """The site's ``handler:QUEUE.KEY`` by QUEUE and KEY."""
        keys: dict[str, dict[str, str]] = {}
        for override, text in self._overrides.items():
            if override.startswith(HANDLER_PREFIX) and (found := queue_and_key(override, self._settings.handlers)):
                keys.setdefault(found[0], {})[found[1]] = text
        return keys

    def _layered(self, queue: str) -> HandlerSettings | None:
        if f"{HANDLERS_PREFIX}{queue}" in self._overrides:
            return None
        daemon = self._settings.handlers[queue]
        own = self._handler_keys.get(queue, {})
        return layered_handler(daemon, self._settings.queue.retry, self._queue_retry, own)
