"""InFlight: the jobs that handlers work on, and what each of them occupies meanwhile."""

from __future__ import annotations

from collections import Counter

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from snqd.core.fair_turn import FairTurn, Turn
from snqd.core.outcome import Outcome
from snqd.core.retry import RetryPolicy
from snqd.handlers.registry import Slot
from snqd.handlers.running_job import RunningJob
from snqd.pipe.crash_ledger import CrashLedger
from snqd.queues.slots import Slots
from snqd.stores.interface import Claimed


@attrs.define(eq=False)
class Running:
    """A job that a handler works on.

    :ivar job: as the handler sees it.
    :ivar slot: the handler.
    :ivar policy: the queue's, for this site.
    :ivar ledger_slot: to be cleared at its end.
    :ivar work: the handler's Deferred, once it gave one.
    """

    turn: Turn[Claimed]
    job: RunningJob
    slot: Slot
    policy: RetryPolicy
    started: float
    ledger_slot: int
    work: Deferred[Outcome] | None = None


class InFlight:
    """Takes for each job, and gives back at its end: a place in the crash ledger, a slot of its queue, its handler, and
    its site's share of handler seconds."""

    def __init__(self, clock: IReactorTime, slots: Slots, fair_turn: FairTurn[Claimed], ledger: CrashLedger) -> None:
        self._clock = clock
        self._slots = slots
        self._fair_turn = fair_turn
        self._ledger = ledger
        self._jobs: set[Running] = set()

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, turn: Turn[Claimed], job: RunningJob, slot: Slot, policy: RetryPolicy) -> Running:
        """A job is about to be given to its handler."""
        running = Running(turn, job, slot, policy, self._clock.seconds(), self._ledger.started(job.id))
        self._slots.take(turn.queue)
        slot.take()
        self._jobs.add(running)
        return running

    def end(self, running: Running) -> float:
        """Its handler has ended; returns how many seconds it took."""
        seconds: float = max(self._clock.seconds() - running.started, 0.0)
        self._ledger.ended(running.ledger_slot)
        self._jobs.discard(running)
        self._slots.free(running.turn.queue)
        running.slot.give()
        self._fair_turn.ended(running.turn, seconds)
        return seconds

    def look(self) -> None:
        """Let what runs count before it ends: its sites pay for the time so far, and where no further job of a queue
        can start, none of its like is expected to take less than the one that has run for the shortest time."""
        now, ages = self._clock.seconds(), dict[str, float]()
        for running in self._jobs:
            turn, age = running.turn, now - running.started
            self._fair_turn.charge_so_far(turn, age)
            if not self._slots.open_to(turn.queue):
                ages[turn.queue] = min(age, ages.get(turn.queue, age))
        self._fair_turn.costs.still_running(ages)

    def interrupt(self) -> None:
        """Cancel the handlers that can be."""
        for running in list(self._jobs):
            if running.work is not None:
                running.work.cancel()

    def by_queue_and_site(self) -> Counter[tuple[str, str]]:
        """How many there are of each queue and site."""
        return Counter((running.turn.queue, running.turn.site) for running in self._jobs)
