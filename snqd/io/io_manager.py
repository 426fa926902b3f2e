"""IoManager: the base class that authors of I/O managers start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import succeed
from zope.interface import implementer

from snqd.io.interface import Eventually, IIoManager, Master, Scope


@implementer(IIoManager)
class IoManager(MultiService):
    """Does nothing yet: override what you need, and add child services (connections, timers) with `setServiceParent`.

    :cvar scope: see :class:`~snqd.io.interface.Scope`.
    :cvar group: the group whose children run it.
    :cvar poll_interval: seconds; 0 if there is nothing to poll.
    """

    scope = Scope.INSTANCE_PER_PROCESS
    group = "main"
    poll_interval: float = 0
    master: Master | None = None

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.setName(type(self).__name__)  # type: ignore[no-untyped-call]

    def start(self, master: Master) -> Eventually[Any]:
        """Remember the master; override, and call this, to connect."""
        self.master = master
        return succeed(None)

    def poll(self) -> Eventually[bool]:
        """There was nothing."""
        return succeed(False)

    def idle(self) -> None:
        """Nothing to do in quiet times."""

    def reloaded(self, added: Sequence[str], changed: Sequence[str], removed: Sequence[str]) -> None:
        """Nothing depends on the configuration."""

    def quiet(self) -> None:
        """Nothing is claimed anyway."""

    def drain(self, timeout: float) -> Eventually[Any]:
        """Nothing is in hand."""
        return succeed(None)

    def stop(self) -> Eventually[Any]:
        """Nothing to let go: child services are stopped by Twisted."""
        return succeed(None)
