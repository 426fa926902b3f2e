"""ChildConfiguration: the configuration in a child, as its parent hands it on, at its birth and later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from snqd.config.changes import held_back
from snqd.config.load import Overrides, load, load_fixed, load_sites
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.threads import InThread
from snqd.pipe.child_spec import ChildSpec

BIG_CHARS = 50_000
"""From so much text on, parsing would hold up the reactor for more than some ten milliseconds."""


class ChildConfiguration:
    """Keeps the main file's text and the settings; the texts of ten thousand sites are not kept.

    :ivar settings: those in force.
    """

    def __init__(self, spec: ChildSpec, in_thread: InThread) -> None:
        sources = Sources.from_json(spec.sources)
        self._in_thread = in_thread
        self._overrides = Overrides(spec.threads, spec.daemon_id)
        self._start = spec.start
        self._path = sources.path
        self._main = sources.main
        self._next: tuple[str, Settings] | None = None
        self.settings = self._whole(sources)

    def prepare(self, changes: SourceChanges) -> Deferred[Settings]:
        """The settings after `changes`, which :meth:`commit` puts in force.

        :param changes: with the main file in it, all files.
        :returns: fails with ConfigError.
        """
        call: Callable[..., Deferred[Any]] = self._in_thread if changes.size_chars() > BIG_CHARS else maybeDeferred
        return call(self._parse, changes).addCallback(self._prepared)

    def commit(self) -> Settings:
        """Put the prepared settings in force."""
        assert self._next is not None, "nothing is prepared"
        self._main, self.settings = self._next
        self._next = None
        return self.settings

    def drop(self) -> None:
        """Forget what was prepared."""
        self._next = None

    def _parse(self, changes: SourceChanges) -> tuple[str, Settings]:
        path = str(self._path)
        if path in changes.files:
            sources = Sources(self._path, changes.files)
            return sources.main, self._whole(sources)
        changed = Sources(self._path, {path: self._main, **changes.files})
        return self._main, load_sites(self.settings, changed, changes.gone, self._overrides)

    def _prepared(self, parsed: tuple[str, Settings]) -> Settings:
        self._next = parsed
        return parsed[1]

    def _whole(self, sources: Sources) -> Settings:
        settings = load(sources, self._overrides)
        if not self._start or self._start == sources.main:
            return settings
        return held_back(settings, *load_fixed(self._path, self._start, self._overrides))
