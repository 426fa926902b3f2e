"""ChildConfiguration: the configuration in a child, as its parent hands it on, at its birth and later."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.child.parts import Parts, Switch
from snqd.config.config_diff import keep_restart_only
from snqd.config.load import Overrides, load, load_sites, load_until_restart
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.errors import ConfigError, SnqdError
from snqd.core.threads import InThread
from snqd.handlers.loading import HandlerLoadError, check_importable
from snqd.pipe.child_spec import ChildSpec

DRAIN_TIMEOUT = 25.0
"""Seconds for a child that must leave before it has read its settings."""
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
        return keep_restart_only(settings, *load_until_restart(self._path, self._start, self._overrides))


class ChildReload:
    """Does nothing before :meth:`begin`.

    :ivar drain_timeout: ``[snqd] drain_timeout`` in force.
    """

    log = Logger()

    def __init__(self) -> None:
        self.drain_timeout = DRAIN_TIMEOUT
        self._configuration: ChildConfiguration | None = None
        self._parts: Parts | None = None
        self._switch: Switch | None = None

    def begin(self, configuration: ChildConfiguration, parts: Parts) -> None:
        """The child is assembled."""
        self._configuration = configuration
        self._parts = parts
        self.drain_timeout = configuration.settings.daemon.drain_timeout

    def prepare(self, changes: dict[str, Any], check: Iterable[str]) -> Deferred[dict[str, Any]]:
        """Make what the configuration after `changes` needs.

        :param changes: SourceChanges in JSON.
        :param check: queues of other groups whose handlers must be importable.
        :returns: fires with `problems`, a list that is empty if all is well, and `traceback`.
        """
        return Deferred.fromCoroutine(self._prepare(SourceChanges.from_json(changes), check)).addErrback(self._refused)

    async def _prepare(self, changes: SourceChanges, check: Iterable[str]) -> dict[str, Any]:
        if self._configuration is None or self._parts is None:
            raise SnqdError("the child is not up yet")
        self.drop()
        settings = await self._configuration.prepare(changes)
        for queue in check:
            check_importable(settings.handlers[queue])
        self._switch = self._parts.prepare(settings)
        return {"problems": [], "traceback": ""}

    def _refused(self, failure: Failure) -> dict[str, Any]:
        self.drop()
        error = failure.value
        if isinstance(error, ConfigError):
            return {"problems": error.problems, "traceback": ""}
        if isinstance(error, HandlerLoadError):
            return {"problems": [str(error)], "traceback": error.traceback}
        text = "".join(traceback.format_exception(error))
        return {"problems": [str(error) if isinstance(error, SnqdError) else repr(error)], "traceback": text}

    def commit(self) -> None:
        """Go over to what was prepared; nothing if nothing was."""
        switch, self._switch = self._switch, None
        if switch is None or self._configuration is None:
            return
        settings: Settings = self._configuration.commit()
        self.drain_timeout = settings.daemon.drain_timeout
        switch.commit()

    def drop(self) -> None:
        """Forget what was prepared."""
        switch, self._switch = self._switch, None
        if switch is not None:
            switch.drop()
        if self._configuration is not None:
            self._configuration.drop()
