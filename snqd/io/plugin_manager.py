"""PluginManager: runs the I/O manager of an installed package, and what it uses of the child, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred

from snqd.io.context import IoContext
from snqd.io.interface import IIoManager, Master, Scope, eventually
from snqd.io.io_manager import IoManager


class PluginManager(IoManager):
    """Passes on what the master says. The manager's threads and report live as long as it does.

    :param scope: the factory's; the manager may well be silent about it.
    """

    def __init__(self, inner: IIoManager, scope: Scope, context: IoContext) -> None:
        super().__init__()
        self.inner = inner
        self.scope = scope
        self.context = context
        self.setName(context.name)  # type: ignore[no-untyped-call]
        if IService.providedBy(inner):
            inner.setServiceParent(self)  # type: ignore[no-untyped-call]

    @property
    def poll_interval(self) -> float:  # type: ignore[override]
        """The manager's, asked for when it has started."""
        interval: float | None = self.inner.poll_interval
        return interval or 0

    def start(self, master: Master) -> Deferred[Any]:
        """Start it; where that fails, nothing of it is left."""
        super().start(master)
        return eventually(self.inner.start, master).addErrback(self._not_started)

    def _not_started(self, failure: Any) -> Any:
        self.context.close()
        return failure

    def poll(self) -> Deferred[bool]:
        """Poll it."""
        return eventually(self.inner.poll)

    def idle(self) -> None:
        """Pass it on."""
        self.inner.idle()

    def reloaded(self, added: Sequence[str], changed: Sequence[str], removed: Sequence[str]) -> None:
        """Pass it on."""
        self.inner.reloaded(added, changed, removed)

    def quiet(self) -> None:
        """Pass it on."""
        self.inner.quiet()

    def drain(self, timeout: float) -> Deferred[Any]:
        """Drain it, then wait for its threads."""
        return eventually(self.inner.drain, timeout).addCallback(lambda _: self.context.when_idle())

    def stop(self) -> Deferred[Any]:
        """Stop it, and let go of its threads and its report."""
        return eventually(self.inner.stop).addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        self.context.close()
        return result
