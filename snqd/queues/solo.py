"""Solo: running the jobs that may have killed their process, each alone, so that it takes no neighbour with it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from snqd.queues.queue_manager import QueueManager
from snqd.stores.interface import Claim


class SoloQueueManager(QueueManager):
    """Runs suspects one at a time and nothing else, in a process of their own."""

    def _ask(self) -> Deferred[Claim] | None:
        if self._unsure or self._running or self._settling or self._claimer.dry:
            return None
        return self._use.store.claim_solo(frozenset(self._use.queues))

    def _take(self, claim: Claim) -> None:
        super()._take(Claim([], claim.next_due, claim.suspects))
        if self._quiet:
            self._give_back(claim.jobs)
        elif claim.jobs:
            self._start_alone(claim)
        else:
            self._claimer.dry.update(self._use.queues)

    def _settled(self, _: Any, queue: str) -> None:
        super()._settled(_, queue)
        self._claimer.claim()

    def _given_back(self, _: Any) -> None:
        super()._given_back(_)
        self._claimer.claim()


class ExclusiveQueueManager(QueueManager):
    """Runs suspects in the one process that its group may have: it lets what runs end, and starts nothing else before
    they are through."""

    _alone = False
    """Whether a suspect runs, or its outcome is being settled."""

    def _may_start(self) -> bool:
        return not (self._suspects or self._alone) and self._use.may_begin()

    def _ask(self) -> Deferred[Claim] | None:
        if self._unsure or ((self._suspects or self._alone) and self._busy) or not self._use.may_begin():
            return None
        if self._suspects:
            return self._use.store.claim_solo(self._suspects).addCallback(self._take_solo)
        return super()._ask()

    def _take_solo(self, claim: Claim) -> Claim:
        if self._quiet or not claim.jobs or not self._use.may_begin():
            return claim
        self._alone = True
        self._start_alone(claim)
        # A job of a queue that is served no more is given back, and one whose lease is lost is left alone.
        self._alone = self._busy
        return Claim([], claim.next_due)  # the next claim tells whether more wait

    def _settled(self, _: Any, queue: str) -> None:
        super()._settled(_, queue)
        self._go_on_together()

    def _given_back(self, _: Any) -> None:
        super()._given_back(_)
        self._go_on_together()

    @property
    def _busy(self) -> bool:
        return bool(self._running or self._settling)

    def _go_on_together(self) -> None:
        if self._alone and not self._busy:
            self._alone = False
            self._claimer.wake()
            self._run()
        else:
            self._claimer.claim()
