"""QueueManager: takes the jobs of one group's queues from the store through their handlers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.clocks import boot_time
from snqd.core.fair_turn import FairTurn, Turn
from snqd.core.outcome import Outcome
from snqd.core.retry import RetryPolicy, site_patience
from snqd.handlers.registry import HandlerRegistry
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.io.interface import Master
from snqd.io.io_manager import IoManager
from snqd.pipe.crash_ledger import CrashLedger
from snqd.queues.admission import Admitted, Refusal, SiteMissing, admit
from snqd.queues.claimed_ahead import ClaimedAhead
from snqd.queues.claimer import Claimer
from snqd.queues.in_flight import InFlight, Running
from snqd.queues.settler import Ended, Settler
from snqd.queues.slots import Slots, burst
from snqd.sites.registry import SiteRegistry
from snqd.stores.interface import Claim, Claimed, IStore, Want

SLICE = 0.01
"""Seconds for which jobs are started before the reactor gets its turn."""


@attrs.frozen
class ManagerParts:
    """What a queue manager works with.

    :ivar queues: the queues of its group: whether each is ordered.
    :ivar policy: for jobs whose site is unknown.
    :ivar close: lets go of all this; called once, when nothing is in hand.
    :ivar site_missed: told the nickname of a site that a job belongs to and that is not configured.
    :ivar may_begin: whether an exclusive group's process may begin a job now; asked before each.
    """

    reactor: Any
    store: IStore
    settler: Settler
    handlers: HandlerRegistry
    sites: SiteRegistry
    ledger: CrashLedger
    surroundings: JobContext
    queues: Mapping[str, bool]
    policy: RetryPolicy
    random: Random
    close: Callable[[], Deferred[Any]]
    site_missed: Callable[[str], Any] = lambda nickname: None
    may_begin: Callable[[], bool] = lambda: True


class QueueManager(IoManager):
    """The way of a job through this process:

    1. `_ask` claims as many jobs of each queue as there is room for, and `_take` puts them into FairTurn;
    2. `_run` starts those whose turn it is while there are slots;
    3. `_start` has it admitted, written into the crash ledger by InFlight, and calls its handler;
    4. `_ended` has it cleared from there, and hands the outcome to the Settler;
    5. the settlement reaches the store together with the next claim.

    Suspects are left to a :class:`SoloQueueManager`.
    """

    log = Logger()

    def __init__(self, equipment: ManagerParts, slots: Slots, fair_turn: FairTurn[Claimed]) -> None:
        super().__init__()
        self._use = equipment
        self._reactor = equipment.reactor
        self._slots = slots
        self._fair_turn = fair_turn
        self._claimer = Claimer(equipment.reactor, equipment.random, self._ask, self._take)
        self._running = InFlight(equipment.reactor, slots, fair_turn, equipment.ledger)
        self._claimed_ahead = ClaimedAhead(
            equipment.reactor, slots, fair_turn, self._running, self._give_back, equipment.store.pauses
        )
        self._settling = 0
        self._unsettled: Counter[str] = Counter()
        self._suspects: frozenset[str] = frozenset()
        self._open = False
        self._leaving = False
        self._quiet = False
        self._unsure = False
        self._next_slice: IDelayedCall | None = None
        self._drained: Deferred[None] | None = None

    def start(self, master: Master) -> Deferred[Any]:
        """Open the store and claim."""
        super().start(master)
        return self._use.store.open(self.wake).addCallback(self._opened)

    def _opened(self, _: Any) -> None:
        self._open = True
        self.wake()

    def report(self) -> dict[str, Any]:
        """See :class:`snqd.io.interface.Reporting`."""
        return {
            "in_flight": len(self._running),
            "claimed": {queue: self._fair_turn.waiting(queue) for queue in self._fair_turn.queues()},
            "unsettled": {queue: number for queue, number in self._unsettled.items() if number},
            "solo_waiting": bool(self._suspects),
            "trouble": self._use.store.trouble,
            "shares": [[queue, site, number] for (queue, site), number in self._running.by_queue_and_site().items()],
        }

    def quiet(self) -> None:
        """Claim and start nothing more; give back what was not started."""
        if not self._quiet:
            self._quiet = True
            self._claimer.stop()
            self._claimed_ahead.stop()
            unbegun = [claimed.receipt for claimed in self._fair_turn.clear()]
            self._gives_back(self._use.store.stop_claims(unbegun))

    def drain(self, timeout: float) -> Deferred[Any]:
        """Let running jobs end, interrupt and give back those that have not after `timeout` seconds; fires when all is
        settled."""
        self.quiet()
        drained = self._drained = Deferred()
        self._deadline = self._reactor.callLater(timeout, self._interrupt)
        self._check_drained()
        return drained

    def stop(self) -> Deferred[Any]:
        """Let go of the store and of all else."""
        self.quiet()
        return self._use.close()

    def wake(self) -> None:
        """Look for work now, if the store is open."""
        if self._open:
            self._claimer.wake()

    def serve(self, queues: Mapping[str, bool], policy: RetryPolicy) -> None:
        """Go on with other queues, and with what else was changed in the equipment meanwhile.

        :param queues: as in :class:`ManagerParts`; what was claimed of others is given back, what runs ends.
        """
        gone = self._use.queues.keys() - queues.keys()
        self._use = attrs.evolve(self._use, queues=queues, policy=policy)
        for queue in gone:
            self._give_back(self._fair_turn.drop(queue))
        self.wake()
        self._run()

    def _ask(self) -> Deferred[Claim] | None:
        if self._unsure:
            return None
        wants = self._wants()
        return self._use.store.claim(wants).addCallback(self._note_dry, wants) if wants else None

    def _wants(self) -> dict[str, Want]:
        wants = {}
        for queue, ordered in self._use.queues.items():
            if queue not in self._claimer.dry:
                waiting, cost = self._fair_turn.waiting(queue), self._fair_turn.costs.expected(queue)
                room = self._slots.room(queue, waiting, cost)
                if room:
                    held, full = self._fair_turn.waiting_by_site(queue), not self._slots.open_to(queue)
                    wants[queue] = Want(room, held, ordered, full, burst(cost))
        return wants

    def _note_dry(self, claim: Claim, wants: Mapping[str, Want]) -> Claim:
        got = Counter(claimed.job.queue for claimed in claim.jobs)
        self._claimer.dry.update(queue for queue, want in wants.items() if got.get(queue, 0) < want.room)
        return claim

    def _take(self, claim: Claim) -> None:
        self._suspects = claim.suspects & self._use.queues.keys()
        if self._quiet:
            self._give_back(claim.jobs)
            return
        if claim.jobs and self.master is not None:
            self.master.working(claim.jobs[0].job.queue)
        for claimed in self._served(claim):
            self._fair_turn.add(claimed.job.queue, claimed.job.site, claimed)
        self._run()
        self._claimed_ahead.trim()

    def _served(self, claim: Claim) -> list[Claimed]:
        """The jobs of `claim`, but for those of queues that this process has ceased to serve meanwhile."""
        queues = self._use.queues
        strange = [claimed for claimed in claim.jobs if claimed.job.queue not in queues]
        if not strange:
            return claim.jobs
        self._give_back(strange)
        return [claimed for claimed in claim.jobs if claimed.job.queue in queues]

    def _run(self) -> None:
        """Start jobs while there are some and slots for them, a slice of time long."""
        if self._next_slice is not None:
            return
        seconds, open_to = self._reactor.seconds, self._slots.open_to
        end = seconds() + SLICE
        self._claimed_ahead.watch()
        while not (self._quiet or self._unsure) and self._may_start():
            turn = self._fair_turn.next(open_to)
            if turn is None:
                return
            self._start(turn)
            if seconds() > end:
                self._next_slice = self._reactor.callLater(0, self._go_on)
                return

    def _go_on(self) -> None:
        self._next_slice = None
        self._run()
        self._claimer.claim()

    def _may_start(self) -> bool:
        return True

    def _start_alone(self, claim: Claim) -> None:
        """Start what `claim` brought, whose turn or not."""
        for claimed in self._served(claim):
            self._start(self._fair_turn.out_of_turn(claimed.job.queue, claimed.job.site, claimed))

    def _start(self, turn: Turn[Claimed]) -> None:
        if turn.item.tenure.until < boot_time():
            self._begin_nothing(turn)
            return
        use = self._use
        match admit(turn.item.job, use.sites, use.handlers, use.policy):
            case Admitted(site, policy, slot):
                job = RunningJob(turn.item.job, site, use.surroundings)
                self._call(self._running.begin(turn, job, slot, policy))
            case Refusal(outcome, policy, server):
                self._fair_turn.refund(turn)
                self._settle(turn.queue, Ended(turn.item, outcome, policy, server, ran=False))
            case SiteMissing(reason):
                self._fair_turn.refund(turn)
                self._wait_for_site(turn, reason)

    def _begin_nothing(self, turn: Turn[Claimed]) -> None:
        """The job is another process's, or may be: then nothing begins until the store has told."""
        self._fair_turn.refund(turn)
        if turn.item.tenure.ended:
            return
        if not self._unsure:
            self._unsure = True
            self.log.warn("this process stood still for long: it asks its store what is still its own")
            self._use.store.renew().addCallback(self._sure_again)
        self._give_back([turn.item])

    def _sure_again(self, _: None) -> None:
        self._unsure = False
        self._run()
        self._claimer.wake()

    def _wait_for_site(self, turn: Turn[Claimed], reason: str) -> None:
        self._use.site_missed(turn.site)
        age = self._use.surroundings.now() - turn.item.job.created
        self._settling += 1
        self._unsettled[turn.queue] += 1
        self._use.settler.hold_back(turn.item, site_patience(age), reason).addCallback(self._settled, turn.queue)

    def _call(self, running: Running) -> None:
        outcome = running.slot.run(running.job)
        if isinstance(outcome, Deferred):
            running.work = outcome
            ended = outcome.addCallbacks(self._ended, self._interrupted, (running,), errbackArgs=(running,))
            ended.addCallback(self._go_on_after)
            ended.addErrback(lambda failure: self.log.failure("the end of a job broke", failure))
        else:
            self._ended(outcome, running)

    def _ended(self, outcome: Outcome, running: Running) -> None:
        seconds = self._running.end(running)
        site, turn = running.job.site, running.turn
        ended = Ended(turn.item, outcome, running.policy, site.server, running.job.follow_ups, seconds)
        self._settle(turn.queue, ended)

        if running.slot.stuck and running.slot.stuck >= running.slot.settings.threads:
            self._leave_stuck_threads(turn.queue)

    def _leave_stuck_threads(self, queue: str) -> None:
        """No thread is left for the queue, and a thread can't be cancelled: only a fresh process helps."""
        if not self._leaving and self.master is not None:
            self._leaving = True
            self.log.error(
                "all threads of queue {queue} are stuck in jobs that timed out: this process makes room", queue=queue
            )
            self.master.leave(1)

    def _go_on_after(self, _: None) -> None:
        """A handler that waited has ended: its slot is free."""
        self._run()
        self._claimer.claim()

    def _settle(self, queue: str, ended: Ended) -> None:
        self._settling += 1
        self._unsettled[queue] += 1
        self._use.settler.settle(ended).addCallback(self._settled, queue)

    def _settled(self, _: Any, queue: str) -> None:
        self._settling -= 1
        self._unsettled[queue] -= 1
        if self._use.queues.get(queue):  # ordered: the site's next job could not be claimed before
            self._claimer.dry.discard(queue)
            self._claimer.claim()
        self._check_drained()

    def _give_back(self, jobs: Collection[Claimed]) -> None:
        if jobs:
            self._gives_back(self._use.store.give_back([claimed.receipt for claimed in jobs]))

    def _gives_back(self, given: Deferred[None]) -> None:
        self._settling += 1
        given.addErrback(lambda failure: self.log.failure("jobs could not be given back", failure))
        given.addCallback(self._given_back)

    def _given_back(self, _: Any) -> None:
        self._settling -= 1
        self._claimer.wake()  # the store has them again, and may have had no more before
        self._check_drained()

    def _interrupt(self) -> None:
        """The time to drain is over."""
        if self._running:
            self.log.warn("{number} jobs did not end in time and are given back", number=len(self._running))
            self._running.interrupt()

    def _interrupted(self, failure: Failure, running: Running) -> None:
        failure.trap(CancelledError)
        self._running.end(running)
        self._give_back([running.turn.item])

    def _check_drained(self) -> None:
        if self._drained is not None and not self._running and not self._settling:
            if self._deadline.active():
                self._deadline.cancel()
            drained, self._drained = self._drained, None
            drained.callback(None)
