"""How those who wait for jobs hear of some: PostgreSQL's notifications, or on MariaDB a doorbell for this host.

Neither tells of everything: others' inserts ring nothing, and a notification is lost with its connection. So each
process looks for itself now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

from snqd.stores.doorbell import Ringer
from snqd.stores.doorbell_listener import Bell
from snqd.stores.sql.listener import SqlListener
from snqd.stores.sql.postgresql import notify
from snqd.stores.sql.server import SqlServer
from snqd.stores.sql.statements import Added

BELLS = "queue.bells"
"""The folder of the doorbells, in state_dir."""


class SqlBell(Protocol):
    """One process's bell.

    :ivar poll: seconds between its own looks.
    """

    poll: float

    def start(self) -> Deferred[None]:
        """Listen from now on."""

    def stop(self) -> None:
        """Listen no more."""

    def ring(self, added: Added | None) -> Deferred[Any]:
        """Wake the others, for jobs that were `added`, or for something else; fires when that is done."""


class Notifications:
    """PostgreSQL's."""

    poll = 1.0

    def __init__(
        self,
        reactor: Any,
        server: SqlServer,
        own: str,
        in_thread: Callable[[Callable[[], Any]], Deferred[Any]],
        heard: Callable[[], Any],
        random: Random,
    ) -> None:
        self._server = server
        self._own = own
        self._in_thread = in_thread
        self._listener = SqlListener(reactor, server, own, in_thread, heard, random)

    def start(self) -> Deferred[None]:
        """See :class:`SqlBell`."""
        return self._listener.start()

    def stop(self) -> None:
        """See :class:`SqlBell`."""
        self._listener.stop()

    def ring(self, added: Added | None) -> Deferred[Any]:
        """See :class:`SqlBell`."""
        if added is not None and added.told:
            return succeed(None)
        return self._in_thread(lambda: self._server.ask(lambda connection: notify(connection, self._own, added)))


class Doorbell:
    """A Unix datagram to every process of this host."""

    poll = 0.2

    def __init__(self, reactor: Any, bells: Path, own: str, heard: Callable[[], Any]) -> None:
        self._bell = Bell(reactor, bells, own, heard)
        self._ringer = Ringer(bells, own)

    def start(self) -> Deferred[None]:
        """See :class:`SqlBell`."""
        self._bell.start()
        return succeed(None)

    def stop(self) -> None:
        """See :class:`SqlBell`."""
        self._bell.stop()
        self._ringer.close()

    def ring(self, added: Added | None) -> Deferred[Any]:
        """See :class:`SqlBell`."""
        self._ringer.ring()
        return succeed(None)
