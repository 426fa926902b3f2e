"""Solo: suspects that have come to this process to run alone, one at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from snqd.stores.interface import Claimed
from snqd.stores.stomp.consumer import Arrival
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.shared_state import SharedStateSnapshot

PATIENCE = 5.0
"""Seconds after which a suspect that is noted as waiting, and does not come, is taken to be gone."""


class Solo:
    """The suspects that wait here; none is handed out while another is in hand."""

    def __init__(self, reactor: Any, inbox: Inbox) -> None:
        self._reactor = reactor
        self._inbox = inbox
        self._waiting: list[Arrival] = []
        self._quiet_since: float | None = None

    def add(self, arrival: Arrival) -> None:
        """A suspect has come."""
        self._waiting.append(arrival)
        self._quiet_since = self._reactor.seconds()

    def put_back(self, arrival: Arrival) -> None:
        """A suspect was not run."""
        self._waiting.insert(0, arrival)

    def withdraw(self) -> list[Arrival]:
        """Take out all that wait here."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def drop(self, epoch: int) -> None:
        """Forget what a lost connection has brought."""
        self._waiting = [arrival for arrival in self._waiting if arrival.epoch != epoch]

    def noted(self) -> None:
        """Others may be noted as waiting now: be patient once more."""
        if self._quiet_since is not None:
            self._quiet_since = self._reactor.seconds()

    def take(self, queues: Collection[str], noted: SharedStateSnapshot) -> Claimed | None:
        """Hand out the first suspect of `queues` that is not paused, if none is in hand."""
        if self._quiet_since is None:
            self._quiet_since = self._reactor.seconds()
        free = self._free(queues, noted)
        if not free or self._inbox.has_in_hand_alone():
            return None
        self._waiting.remove(free[0])
        return self._inbox.hand_out(free[0])

    def room_for(self, queues: Collection[str], noted: SharedStateSnapshot) -> int:
        """How many suspects may be here so that one of `queues` gets through, 0 if one that can run is here."""
        return 0 if self._free(queues, noted) else len(self._waiting) + 1

    def queues(self, noted: SharedStateSnapshot) -> frozenset[str]:
        """The queues of suspects that are noted as waiting, while none is in hand."""
        if not noted.suspects or self._inbox.has_in_hand_alone() or self._seems_empty():
            return frozenset()
        waiting = [suspect for suspect in noted.suspects.values() if not suspect.is_announced]
        return frozenset(each.queue for each in waiting if not noted.pauses.covers(each.queue, each.site))

    def _free(self, queues: Collection[str], noted: SharedStateSnapshot) -> list[Arrival]:
        pauses = noted.pauses
        return [
            arrival
            for arrival in self._waiting
            if arrival.job.queue in queues and not pauses.covers(arrival.job.queue, arrival.job.site)
        ]

    def _seems_empty(self) -> bool:
        """Whether suspects are noted that do not come: somebody has emptied their queue."""
        since = self._quiet_since
        return since is not None and since < self._reactor.seconds() - PATIENCE and not self._waiting
