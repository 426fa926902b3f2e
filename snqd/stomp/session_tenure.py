"""SessionTenure: until when a broker can not have given the messages of a session to others for its silence."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from snqd.core.clocks import boot_time
from snqd.core.tenure import Tenure

MOST_TURNS = 100
"""Turns of the reactor in which what a broker has sent is read; a broker that has not ended by then is still there."""


class SessionTenure:
    """Follows a session's heart-beats.

    When the process stood still for longer, the broker may have closed the connection, which the reactor learns only
    when it has read all that came before. So the tenure is extended after a turn in which nothing was read.

    :ivar tenure: of the messages of this session.
    """

    def __init__(self, reactor: Any) -> None:
        self.tenure = Tenure()
        self._reactor = reactor
        self._interval = 0.0
        self._reads = 0
        self._turn: IDelayedCall | None = None
        self._asking: list[Deferred[None]] = []

    def begin(self, interval: float) -> None:
        """The session has begun.

        :param interval: seconds without a heart-beat that the broker bears at least.
        """
        self._interval = interval
        self.tenure.extend(boot_time() + interval)

    def beat(self) -> None:
        """A heart-beat is due, by the reactor's clock."""
        if boot_time() < self.tenure.until:
            self.tenure.extend(boot_time() + self._interval)
        else:
            self._look(MOST_TURNS)

    def read(self) -> None:
        """Something has come from the broker."""
        self._reads += 1

    def renew(self) -> Deferred[None]:
        """Fires when the tenure is extended, or has ended."""
        if self.tenure.ended or boot_time() < self.tenure.until:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._asking.append(done)
        self._look(MOST_TURNS)
        return done

    def end(self) -> None:
        """The connection is gone."""
        self.tenure.end()
        if self._turn is not None:
            self._turn.cancel()
        self._tell()

    def _look(self, turns: int) -> None:
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._looked, turns, self._reads)

    def _looked(self, turns: int, reads: int) -> None:
        self._turn = None
        if self._reads != reads and turns:
            self._look(turns - 1)
        else:
            self.tenure.extend(boot_time() + self._interval)
            self._tell()

    def _tell(self) -> None:
        asking, self._asking = self._asking, []
        for done in asking:
            done.callback(None)
