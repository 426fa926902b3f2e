"""CommandListener: hears in a child the commands that reach every daemon by way of the store, and passes them up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from snqd.io.interface import Eventually, Master
from snqd.io.io_manager import IoManager
from snqd.stores.control import IControlListener


class CommandListener(IoManager):
    """Decides nothing, since every child of the daemon hears the same: that is the parent's part.

    :param tell: called with each message and the way by which it came.
    :param begins: called each time that listening begins; messages may have been missed before it.
    """

    def __init__(
        self, listener: IControlListener, tell: Callable[[bytes, str], Any], begins: Callable[[], Any]
    ) -> None:
        super().__init__()
        self._listener = listener
        self._tell = tell
        self._begins = begins

    def start(self, master: Master) -> Eventually[Any]:
        """Begin to listen; a channel that does not work is no reason for the child not to."""
        self._listener.start(self._tell, self._begins)
        return super().start(master)

    def stop(self) -> Deferred[Any]:
        """Listen no more."""
        return self._listener.stop()
