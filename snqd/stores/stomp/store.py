"""StompStore: jobs on STOMP brokers behind the Store's interface.

Brokers push and queue managers pull: what arrives waits in the inbox, as much as the managers want and a little more,
and a claim is answered from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from snqd.core.errors import StoreError
from snqd.core.job import JSON, Job
from snqd.stores.interface import Claim, IStore, Pauses, Receipt, Want
from snqd.stores.morgue_writer import MorgueWriter
from snqd.stores.stomp.ack_marks import AckMarks
from snqd.stores.stomp.brokers import Brokers
from snqd.stores.stomp.consumer import Consumer, Source
from snqd.stores.stomp.inbox import Arrival, Inbox
from snqd.stores.stomp.notes import NoteReader, Notes
from snqd.stores.stomp.sender import Outgoing, Sender
from snqd.stores.stomp.sorter import Sorter
from snqd.stores.stomp.topology import Breakouts, Topology

MAX_PREFETCH = 1000
"""No source has more messages here than so many, whatever is wanted."""
SMALL_PREFETCH = 4
"""What sources begin with that are seldom busy."""
SIFT_EVERY = 0.05
"""Seconds between looks whether one site's jobs keep all others out."""
FLOOD_SHARE = 0.9
SIFT_ROOM = 100
"""Messages that may be on their way from a queue to a lane at once."""
SOLO_PATIENCE = 5.0
"""Seconds after which a suspect that is noted as waiting, and does not come, is taken to be gone."""
CLOSE_PATIENCE = 5.0
"""Seconds that settlements under way have when the store is closed."""


@implementer(IStore)
class StompStore:
    """Jobs on one or more brokers.

    :param owner: this process's name, new at each start.
    :param notes: where suspects and pauses are kept.
    :param morgue: takes what can't be decoded; closed with the store.
    :param bad_item: see :class:`Sorter`.
    """

    log = Logger()
    durable = True

    def __init__(
        self,
        reactor: Any,
        brokers: Brokers,
        topology: Topology,
        owner: str,
        notes: Notes,
        morgue: MorgueWriter,
        random: Random,
        bad_item: Callable[[str, str], object] = lambda queue, site: None,
    ) -> None:
        self._reactor = reactor
        self._topology = topology
        self._inbox = Inbox()
        self._alone: list[Arrival] = []
        self._notes = NoteReader(reactor, notes, self._noted)
        self._morgue = morgue
        self._sender = Sender(reactor, brokers, random, topology)
        self._sorter = Sorter(
            reactor, topology, self._sender, self._notes, morgue.bury, self._inbox, self._accept, random, bad_item
        )
        self._consumers = [
            Consumer(
                reactor,
                broker.endpoint,
                brokers.login,
                random,
                broker.name,
                self._sorter.arrived,
                self._came_up,
                self._went_down,
            )
            for broker in brokers.listen
        ]
        self._marked = brokers.wire == JSON  # daemons of PHP, where they read along, take marks for broken jobs
        self._marks = AckMarks(reactor, self._sender, self._consumers)
        self._groups: set[str] = set()
        self._breakouts: Breakouts = {}
        self._settling: set[Deferred[Any]] = set()
        self._sift = LoopingCall(self._look_for_flood)
        self._sift.clock = reactor
        self._idle_claims = 0
        self._waking: IDelayedCall | None = None
        self._lost_before = False
        self._solo_since = 0.0
        self._closing = False

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
        self._sift.start(SIFT_EVERY, now=False)
        if self._marked:
            self._marks.start()

    async def _close(self) -> None:
        self._closing = True
        if self._sift.running:
            self._sift.stop()
        self._marks.stop()
        under_way = self._sorter.close() + list(self._settling)
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
        self._listen(wants)
        pauses = self._notes.noted.pauses
        jobs = []
        missing = 0
        for queue, want in wants.items():
            taken = self._inbox.take(queue, want, pauses)
            jobs += taken
            missing = max(missing, want.room - len(taken))
        self._idle_claims += any(not want.full for want in wants.values())
        if missing:
            self._make_room(self._inbox.in_hand() + missing, alone=False)
        return succeed(Claim(jobs, None, self._solo_queues()))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`; "anywhere" is here: each daemon has one process that asks."""
        for group in {self._topology.group_of(queue) for queue in queues}:
            self._add_source(self._topology.solo(group), group, 1, alone=True)
        self._solo_since = self._solo_since or self._reactor.seconds()
        pauses = self._notes.noted.pauses
        free = [
            arrival
            for arrival in self._alone
            if arrival.job.queue in queues and not pauses.covers(arrival.job.queue, arrival.job.site)
        ]
        if not free or self._inbox.has_in_hand_alone():
            if not free:
                self._make_room(len(self._alone) + 1, alone=True)
            return succeed(Claim([], None, self._solo_queues()))
        self._alone.remove(free[0])
        return succeed(Claim([self._inbox.hand_out(free[0])], None, self._solo_queues()))

    def _solo_queues(self) -> frozenset[str]:
        noted = self._notes.noted
        if not noted.suspects or self._inbox.has_in_hand_alone() or self._seems_empty():
            return frozenset()
        waiting = [suspect for suspect in noted.suspects.values() if not suspect.is_announced]
        return frozenset(each.queue for each in waiting if not noted.pauses.covers(each.queue, each.site))

    def _seems_empty(self) -> bool:
        """Whether suspects are noted that do not come: somebody has emptied their queue."""
        return 0 < self._solo_since < self._reactor.seconds() - SOLO_PATIENCE and not self._alone

    def _listen(self, wants: Mapping[str, Want]) -> None:
        self._sorter.ordered.update(queue for queue, want in wants.items() if want.ordered)
        groups = {self._topology.group_of(queue) for queue in wants} - self._groups
        room = min(max((want.room for want in wants.values()), default=0), MAX_PREFETCH)
        changed = self._breakouts is not self._topology.breakouts()  # another configuration has others, if equal ones
        if room and (groups or changed):
            self._listen_to_breakouts(groups | self._groups, room)
            self._sorter.noted()
        for group in groups if room else ():
            self._groups.add(group)
            self._add_source(self._topology.of_group(group), group, room, sifted=True)
            self._add_source(self._topology.due(group), group, max(room // 4, SMALL_PREFETCH))
            for lane in self._topology.lanes(group):
                self._add_source(lane, group, SMALL_PREFETCH)
            self._listen_to_resumed()

    def _listen_to_breakouts(self, groups: Collection[str], room: int) -> None:
        old, self._breakouts = self._breakouts, self._topology.breakouts()
        for group in groups:
            for destination, of_site in self._topology.breakouts_of(group):
                # A site that has a destination of its own keeps nobody out, and needs no lane.
                prefetch = max(room // 4, SMALL_PREFETCH) if of_site else room
                self._add_source(destination, group, prefetch, sifted=not of_site)
        for name in sorted(set(old.values()) - set(self._breakouts.values())):
            self.log.warn(
                "breakout {name} is configured no more: this process takes what is left in {base}{name} until it ends; "
                "see that nothing is left there before the next restart",
                name=name,
                base=self._topology.base,
            )

    def _listen_to_resumed(self) -> None:
        for group in self._groups:
            for queue, site in self._notes.noted.resumed:
                if not queue or self._topology.group_of(queue) == group:
                    self._add_source(self._topology.paused(group, queue, site), group, SMALL_PREFETCH)

    def _add_source(
        self, destination: str, group: str, prefetch: int, sifted: bool = False, alone: bool = False
    ) -> None:
        for consumer in self._consumers:
            if destination not in consumer.sources:
                consumer.listen(Source(destination, group, consumer, sifted, alone), prefetch)

    def _make_room(self, wanted: int, alone: bool) -> None:
        """Let more come from those sources of which as much is here as may be, and too little of it can run."""
        limit = min(wanted + sum(1 for _ in self._inbox.waiting()), MAX_PREFETCH)
        for consumer in self._consumers:
            for source in list(consumer.sources.values()):
                if source.alone == alone and source.is_full and source.prefetch < limit:
                    consumer.listen(source, min(source.prefetch, limit - source.prefetch))

    def _accept(self, arrival: Arrival) -> None:
        if arrival.source.alone:
            self._alone.append(arrival)
            self._solo_since = self._reactor.seconds()
        else:
            self._inbox.add(arrival)
        self._wake_soon()

    # Settling.

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
        due = time.time() + delay if delay > 0 else 0.0
        attempt = arrival.job.attempt + attempted
        job = attrs.evolve(arrival.job, attempt=attempt, solo=False, not_before=due, reason=reason)
        self._inbox.went_away(job)
        # Not to where it was enqueued: other programs that read there would forget its attempts.
        due_again = self._topology.due(self._topology.group_of(job.queue))
        again = Outgoing(job, due_again, delay, arrival.accused)
        done = self._replace(arrival, [again])
        return done.addCallback(self._cleared, arrival) if arrival.source.alone else done

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`; where the broker can't take it back, this process may claim it again."""
        for receipt in receipts:
            arrival = self._release(receipt)
            if arrival is not None:
                self._give_back(arrival)
        self._wake_soon()
        return succeed(None)

    def _give_back(self, arrival: Arrival) -> None:
        consumer = arrival.source.consumer
        if arrival.source.alone:
            self._alone.insert(0, arrival)
        elif consumer.dialect.nack_requeues and arrival.job.queue not in self._sorter.ordered:
            consumer.nack(arrival)
        else:
            self._inbox.put_back(arrival)

    def _release(self, receipt: Receipt) -> Arrival | None:
        arrival = self._inbox.held(receipt)
        return self._inbox.release(receipt) if arrival is not None else None

    def _replace(self, arrival: Arrival, jobs: list[Outgoing]) -> Deferred[bool]:
        done = Deferred.fromCoroutine(self._sorter.replace(arrival, jobs))
        self._settling.add(done)

        def settled(result: bool | Failure) -> bool | Failure:
            self._settling.discard(done)
            return result

        return done.addBoth(settled)

    def _cleared(self, good: bool, arrival: Arrival) -> bool:
        """A suspect that was settled is none any more."""
        if good:
            clearing = Deferred.fromCoroutine(self._notes.write(lambda notes: notes.cleared(arrival.job.id)))
            self._settling.add(clearing)
            clearing.addErrback(lambda failure: self.log.failure("a suspect could not be cleared", failure))
            clearing.addBoth(lambda _: self._settling.discard(clearing))
        return good

    # Enqueueing.

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`; if it fails, the broker may have taken some."""
        return Deferred.fromCoroutine(self._sender.send([self._outgoing(job) for job in jobs]))

    def _outgoing(self, job: Job) -> Outgoing:
        return Outgoing(job, delay=max(job.not_before - time.time(), 0.0) if job.not_before else 0.0)

    # Suspects and pauses.

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`; the broker has freed the jobs itself, so the number is that of new suspects."""
        if not suspects:
            return succeed(0)
        return Deferred.fromCoroutine(self._notes.write(lambda notes: notes.suspect(owner, suspects, cause)))

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
            self._solo_since = self._solo_since and self._reactor.seconds()
            self._listen_to_resumed()
            self._sorter.noted()
            self._wake_soon()

    # The connections.

    def _came_up(self) -> None:
        # A broker that was away calls everything redelivered.
        self._sorter.doubting = not self._lost_before
        self._wake_soon()

    def _went_down(self, epoch: int) -> None:
        self._lost_before = True
        self._alone = [arrival for arrival in self._alone if arrival.epoch != epoch]
        lost = self._inbox.drop(epoch)
        if lost and not self._closing:
            self.log.warn("{number} jobs in hand are the broker's again, and may run twice", number=lost)

    def _wake_soon(self) -> None:
        if self._waking is None and not self._closing:
            self._waking = self._reactor.callLater(0, self._woken)

    def _woken(self) -> None:
        self._waking = None
        self._wake()

    # Floods.

    def _look_for_flood(self) -> None:
        """While one site's jobs fill all slots of this process, those on their way here go to a lane, so that others
        get through. Jobs that take no time fill no slots, and are not sifted."""
        slots_full, self._idle_claims = self._idle_claims == 0, 0
        sources = [source for consumer in self._consumers for source in consumer.sources.values() if source.sifted]
        if not slots_full or not any(source.is_full or self._sorter.flooding for source in sources):
            self._sorter.flooding = ""
            return
        by_site: Counter[str] = Counter()
        for (_, site), number in self._inbox.shares_in_hand().items():
            by_site[site] += number
        for site, number in by_site.most_common(1):
            if number >= FLOOD_SHARE * by_site.total():
                self._flood(site)
                self._make_room_to_sift(sources)

    def _make_room_to_sift(self, sources: Sequence[Source]) -> None:
        enough = min(self._inbox.in_hand() + SIFT_ROOM, MAX_PREFETCH)
        for source in sources:
            if source.is_full and source.prefetch < enough:
                source.consumer.listen(source, enough - source.prefetch)

    def _flood(self, site: str) -> None:
        if not self._sorter.flooding:
            self.log.info("jobs of site {site} keep others out: they go to its lane", site=site)
        self._sorter.flooding = site
        ordered = self._sorter.ordered
        for arrival in self._inbox.withdraw(
            lambda each: each.source.sifted and each.job.site == site and each.job.queue not in ordered
        ):
            self._sorter.sort(arrival)
