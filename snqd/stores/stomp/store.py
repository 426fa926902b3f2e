"""StompStore: jobs on STOMP brokers behind the Store's interface.

Brokers push and queue managers pull: what arrives waits in the inbox, as much as the managers want and a little more,
and a claim is answered from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from snqd.core.clocks import unix_time
from snqd.core.errors import StoreError
from snqd.core.job import JSON, Job
from snqd.stores.interface import Claim, IStore, Pauses, Promise, Promises, Receipt, Want
from snqd.stores.morgue.writer import MorgueWriter
from snqd.stores.stomp.ack_marks import AckMarks
from snqd.stores.stomp.brokers import Brokers
from snqd.stores.stomp.consumer import Arrival, Consumer
from snqd.stores.stomp.flood_watch import FloodWatch
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.inspection import Inspection
from snqd.stores.stomp.intake import Intake
from snqd.stores.stomp.mover import Mover
from snqd.stores.stomp.returns import Returns
from snqd.stores.stomp.router import Router
from snqd.stores.stomp.sender import Outgoing, Sender
from snqd.stores.stomp.shared_state import NoteReader, SharedState
from snqd.stores.stomp.solo import Solo
from snqd.stores.stomp.topology import Topology

TIMEOUT = 600.0
"""Seconds: what ``[queue] timeout`` is where nothing is said."""
CLOSE_PATIENCE = 5.0
"""Seconds that settlements under way have when the store is closed."""

PROMISES = Promises(
    {
        Promise.FAIR_CLAIMS: "brokers are fair among sites only within what they have sent, and by lanes in a flood",
        Promise.COMPLETE_CLAIMS: "a broker pushes jobs, and some may still be on their way",
        Promise.NEXT_DUE: "a broker does not tell when a job that it delays is due",
        Promise.DEPTHS: "a broker tells no depths over STOMP",
        Promise.WAKES_ALL: "a broker sends a job, and so the wake-up, to one of the processes that listen",
        Promise.KEEPS_PLACE: "a job that is given back may come behind jobs that another process holds already",
        Promise.KNOWS_HOLDERS: "a broker does not tell which process holds a job, so the crash ledger is believed",
        Promise.ORDER_ACROSS_PROCESSES: "order is kept by the one process of an exclusive group",
        Promise.ONE_SUSPECT: "each daemon has one process that takes suspects; a broker does not know of the others",
    }
)


@implementer(IStore)
class StompStore:
    """Jobs on one or more brokers.

    :param owner: this process's name, new at each start.
    :param notes: where suspects and pauses are kept.
    :param morgue: takes what can't be decoded; closed with the store.
    :param bad_item: see :class:`Router`.
    :param timeout: see :class:`Returns`.
    """

    log = Logger()
    promises = PROMISES

    def __init__(
        self,
        reactor: Any,
        brokers: Brokers,
        topology: Topology,
        owner: str,
        notes: SharedState,
        morgue: MorgueWriter,
        random: Random,
        bad_item: Callable[[str, str], object] = lambda queue, site: None,
        timeout: Callable[[], float] = lambda: TIMEOUT,
    ) -> None:
        self._reactor = reactor
        self._topology = topology
        self._inbox = Inbox()
        self._solo = Solo(reactor, self._inbox)
        self._notes = NoteReader(reactor, notes, self._noted)
        self._morgue = morgue
        self._sender = Sender(reactor, brokers, random, topology)
        self._mover = Mover(self._sender)
        self._sorter = Router(
            reactor, topology, self._mover, self._notes, morgue.bury, self._inbox, self._accept, random, bad_item
        )
        self._consumers = [
            Consumer(
                reactor,
                broker.endpoint,
                brokers.login,
                random,
                broker.name,
                topology.nowhere(),
                self._sorter.arrived,
                self._came_up,
                self._went_down,
            )
            for broker in brokers.listen
        ]
        self._marked = brokers.wire == JSON  # daemons of PHP, where they read along, take marks for broken jobs
        self._marks = AckMarks(reactor, self._sender, self._consumers)
        self._intake = Intake(reactor, topology, self._consumers)
        self._returns = Returns(
            reactor, self._inbox, self._intake.sources, lambda: bool(self._sorter.flooding), timeout
        )
        self._flood_watch = FloodWatch(reactor, self._inbox, self._sorter, self._intake.sources)
        self._waking: IDelayedCall | None = None
        self._lost_before = False
        self._closing = False

    @property
    def trouble(self) -> str | None:
        """See :attr:`IStore.trouble`; the first one's, where there are several brokers."""
        listening = [consumer.trouble for consumer in self._consumers]
        return next(filter(None, [*listening, self._sender.trouble]), None)

    def inspect(self) -> Inspection:
        """What this process holds now."""
        return Inspection(
            [arrival.job for arrival in self._inbox.waiting()],
            self._inbox.jobs_in_hand(),
            list(self._intake.sources()),
            [consumer.epoch for consumer in self._consumers],
            self._notes.noted.suspects,
        )

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        """See :meth:`IStore.open`; fires when the first attempt to connect has ended, well or not."""
        self._wake = wake
        return Deferred.fromCoroutine(self._open())

    def close(self) -> Deferred[None]:
        """See :meth:`IStore.close`; the broker gives to others what was not settled."""
        return Deferred.fromCoroutine(self._close())

    async def _open(self) -> None:
        await self._notes.open()
        started = [self._sender.start(), *(consumer.start() for consumer in self._consumers)]
        await DeferredList(started, fireOnOneErrback=True, consumeErrors=True)
        self._flood_watch.start()
        self._returns.start()
        self._intake.start()
        if self._marked:
            self._marks.start()

    async def _close(self) -> None:
        self._closing = True
        self._flood_watch.stop()
        self._returns.stop()
        self._intake.stop()
        self._marks.stop()
        self._sorter.close()
        under_way = self._mover.under_way()
        if under_way:
            patience: Deferred[Any] = DeferredList(under_way)
            await patience.addTimeout(CLOSE_PATIENCE, self._reactor).addErrback(lambda failure: None)
        for consumer in self._consumers:
            await consumer.stop()
        await self._sender.stop()
        await self._notes.close()
        await self._morgue.close()
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    # Taking jobs.

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        """See :meth:`IStore.claim`."""
        noted, pauses = self._notes.noted, self._notes.noted.pauses
        self._sorter.ordered.update(queue for queue, want in wants.items() if want.ordered)
        if self._intake.listen(wants, noted.resumed):
            self._sorter.noted()
        jobs = []
        missing = 0
        for queue, want in wants.items():
            taken = self._inbox.take(queue, want, pauses)
            jobs += taken
            missing = max(missing, want.room - len(taken))
        self._flood_watch.claimed(wants, len(jobs))
        self._returns.claimed(wants, len(jobs))
        if missing:
            self._intake.make_room(self._inbox.in_hand() + missing + sum(1 for _ in self._inbox.waiting()))
        return succeed(Claim(jobs, None, self._solo.queues(noted)))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`; "anywhere" is here: each daemon has one process that asks."""
        noted = self._notes.noted
        self._intake.listen_to_solo(queues)
        suspect = self._solo.take(queues, noted)
        if room := self._solo.room_for(queues, noted):
            self._intake.make_room(room, alone=True)
        return succeed(Claim([suspect] if suspect is not None else [], None, self._solo.queues(noted)))

    def _accept(self, arrival: Arrival) -> None:
        if arrival.source.alone:
            self._solo.add(arrival)
        else:
            self._inbox.add(arrival)
        self._wake_soon()

    # SettlementQueue.

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        arrival = self._release(receipt)
        if arrival is None:
            return succeed(False)
        if follow_ups:
            done = self._replace(arrival, [self._outgoing(job) for job in follow_ups])
        else:
            done = succeed(arrival.source.consumer.ack(arrival))
        return done.addCallback(self._cleared, arrival) if arrival.source.alone else done

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        arrival = self._release(receipt)
        if arrival is None:
            return succeed(False)
        due = unix_time() + delay if delay > 0 else 0.0
        attempt = arrival.job.attempt + attempted
        job = attrs.evolve(arrival.job, attempt=attempt, solo=False, not_before=due, reason=reason)
        self._inbox.went_away(job)
        # Not to where it was enqueued: other programs that read there would forget its attempts.
        due_again = self._topology.due(self._topology.group_of(job.queue))
        again = Outgoing(job, due_again, delay, arrival.accused)
        done = self._replace(arrival, [again])
        return done.addCallback(self._cleared, arrival) if arrival.source.alone else done

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`; they wait here again, and what is not claimed soon goes back to the broker."""
        for receipt in sorted(receipts, key=lambda receipt: receipt.key, reverse=True):  # each before those behind it
            arrival = self._release(receipt)
            if arrival is not None:
                (self._solo if arrival.source.alone else self._inbox).put_back(arrival)
        self._sorter.sort_misplaced()
        self._wake_soon()
        return succeed(None)

    def _release(self, receipt: Receipt) -> Arrival | None:
        arrival = self._inbox.held(receipt)
        return self._inbox.release(receipt) if arrival is not None else None

    def _replace(self, arrival: Arrival, jobs: list[Outgoing]) -> Deferred[bool]:
        return self._mover.begin(self._mover.replace(arrival, jobs))

    def _cleared(self, good: bool, arrival: Arrival) -> bool:
        """A suspect that was settled is none any more."""
        if good:
            clearing = self._mover.begin(self._notes.write(lambda notes: notes.cleared(arrival.job.id)))
            clearing.addErrback(lambda failure: self.log.failure("a suspect could not be cleared", failure))
        return good

    # Enqueueing.

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`; the broker takes them one by one."""
        return Deferred.fromCoroutine(self._sender.send_once([self._outgoing(job) for job in jobs]))

    def _outgoing(self, job: Job) -> Outgoing:
        return Outgoing(job, delay=max(job.not_before - unix_time(), 0.0) if job.not_before else 0.0)

    # Suspects and pauses.

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`; the broker has freed the jobs itself, so the number is that of new suspects."""
        if not suspects:
            return succeed(0)
        return Deferred.fromCoroutine(self._notes.write(lambda notes: notes.suspect(owner, suspects, cause)))

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        asked = DeferredList([consumer.renew() for consumer in self._consumers])
        return asked.addCallback(lambda _: None)

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        if not queue and not site:
            return fail(StoreError("name a queue, a site or both to pause or resume"))
        return Deferred.fromCoroutine(self._notes.write(lambda notes: notes.pause(queue or "", site or "", paused)))

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        refreshed = Deferred.fromCoroutine(self._notes.refresh())
        return refreshed.addCallback(lambda _: self._notes.noted.pauses)

    def depths(self) -> Deferred[None]:
        """See :meth:`IStore.depths`: over STOMP a broker does not tell."""
        return succeed(None)

    def _noted(self) -> None:
        if not self._closing:
            self._solo.noted()
            self._intake.listen_to_resumed(self._notes.noted.resumed)
            self._sorter.noted()
            self._wake_soon()

    # The connections.

    def _came_up(self) -> None:
        # A broker that was away calls everything redelivered.
        self._sorter.doubting = not self._lost_before
        self._wake_soon()

    def _went_down(self, epoch: int) -> None:
        self._lost_before = True
        self._solo.drop(epoch)
        lost = self._inbox.drop(epoch)
        if lost and not self._closing:
            self.log.warn("{number} jobs in hand are the broker's again, and may run twice", number=lost)

    def _wake_soon(self) -> None:
        if self._waking is None and not self._closing:
            self._waking = self._reactor.callLater(0, self._woken)

    def _woken(self) -> None:
        self._waking = None
        self._wake()
