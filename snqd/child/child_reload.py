"""ChildReload: a child's part in a change of the configuration: prepare it, then go over to it, or forget it."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.child.configuration import ChildConfiguration
from snqd.child.parts import Parts, Switch
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges
from snqd.core.errors import ConfigError, SnqdError
from snqd.handlers.loading import HandlerLoadError, check_importable

DRAIN_TIMEOUT = 25.0
"""Seconds for a child that must leave before it has read its settings."""


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

    def prepare(self, changes: SourceChanges, check: Iterable[str]) -> Deferred[dict[str, Any]]:
        """Make what the configuration after `changes` needs.

        :param check: queues of other groups whose handlers must be importable.
        :returns: fires with `problems`, a list that is empty if all is well, and `traceback`.
        """
        return Deferred.fromCoroutine(self._prepare(changes, check)).addErrback(self._refused)

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
