"""ChildConfiguration: the configuration in a child, as its parent hands it on, at its birth and later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred

from snqd.config.config_diff import keep_restart_only
from snqd.config.load import Overrides, load, load_sites, load_until_restart
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.threads import InThread
from snqd.pipe.child_spec import ChildSpec

BIG_CHARS = 50_000
"""From so much text on, parsing would hold up the reactor for more than some ten milliseconds."""


@attrs.frozen
class ParsedChange:
    """A configuration that is read and not in force.

    :ivar main: the main file's text.
    :ivar digest: of all its sources.
    """

    main: str
    settings: Settings
    digest: str


class ChildConfiguration:
    """Keeps the main file's text and the settings; the texts of ten thousand sites are not kept.

    :ivar settings: those in force.
    :ivar digest: of the sources that they come from.
    """

    def __init__(self, spec: ChildSpec, in_thread: InThread) -> None:
        sources = Sources.from_json(spec.sources)
        self._in_thread = in_thread
        self._overrides = Overrides(spec.threads, spec.daemon_id)
        self._start = spec.start
        self._path = sources.path
        self._main = sources.main
        self.settings = self._whole(sources)
        self.digest = sources.digest

    def parse(self, changes: SourceChanges, digest: str) -> Deferred[ParsedChange]:
        """What the configuration is after `changes`, for :meth:`use`.

        :param changes: with the main file in it, all files.
        :param digest: of all sources after them.
        :returns: fails with ConfigError.
        """
        call: Callable[..., Deferred[Any]] = self._in_thread if changes.size_chars() > BIG_CHARS else maybeDeferred
        return call(self._parse, changes, digest)

    def use(self, change: ParsedChange) -> None:
        """Put `change` in force."""
        self._main, self.settings, self.digest = change.main, change.settings, change.digest

    def _parse(self, changes: SourceChanges, digest: str) -> ParsedChange:
        path = str(self._path)
        if path in changes.files:
            sources = Sources(self._path, changes.files)
            return ParsedChange(sources.main, self._whole(sources), digest)
        changed = Sources(self._path, {path: self._main, **changes.files})
        settings = load_sites(self.settings, changed, changes.gone, self._overrides)
        return ParsedChange(self._main, settings, digest)

    def _whole(self, sources: Sources) -> Settings:
        settings = load(sources, self._overrides)
        if not self._start or self._start == sources.main:
            return settings
        return keep_restart_only(settings, *load_until_restart(self._path, self._start, self._overrides))
