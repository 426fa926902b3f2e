"""Router: what becomes of a message when it arrives: most wait in the inbox, some belong elsewhere and go there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.core.backoff import Backoff
from snqd.core.clocks import unix_time
from snqd.core.errors import BadPayload, StoreUnavailable
from snqd.core.job import PHP, Job, digest_id
from snqd.stomp.frame import Frame
from snqd.stores.morgue.morgue import Letter
from snqd.stores.stomp import message as messages
from snqd.stores.stomp.consumer import Arrival, Source
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.mover import Mover, is_current
from snqd.stores.stomp.sender import PROBE, Outgoing
from snqd.stores.stomp.shared_state import NoteReader, Suspect
from snqd.stores.stomp.topology import Topology

GRACE = 0.25
"""Seconds that a message waits that another process may have died with, so that its parent can say so."""


class Router:
    """Sorts what arrives.

    :param bury: keeps a letter in the morgue.
    :param take: is given what may be claimed now.
    :param bad_item: told of each message that was no job and lies in the morgue: the letter's queue and its site.
    :ivar doubting: whether a `redelivered` flag may mean that a process died; not while a broker that came back sets
        it on everything.
    :ivar flooding: the site whose jobs go to its lane, empty for none.
    :ivar kept: so many of them wait here all the same, lest slots stay empty until they come back from there.
    :ivar ordered: queues whose jobs never go to a lane.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        topology: Topology,
        mover: Mover,
        notes: NoteReader,
        bury: Callable[[Letter], Awaitable[None]],
        inbox: Inbox,
        take: Callable[[Arrival], None],
        random: Random,
        bad_item: Callable[[str, str], object],
    ) -> None:
        self._reactor = reactor
        self._topology = topology
        self._mover = mover
        self._notes = notes
        self._bury = bury
        self._inbox = inbox
        self._take = take
        self._random = random
        self._bad_item = bad_item
        self._doubtful: list[Arrival] = []
        self._accused: dict[str, list[Arrival]] = {}
        self._shelved: list[Arrival] = []
        self._unserved: dict[str, list[Arrival]] = {}
        self._calls: set[IDelayedCall] = set()
        self.doubting = True
        self.flooding = ""
        self.kept = 0
        self.ordered: set[str] = set()

    def arrived(self, message: Frame, source: Source, epoch: int) -> None:
        """A message has arrived."""
        if PROBE in message.headers:
            source.consumer.ack(Arrival(Job("", "", "", b""), message, source, epoch))
            return
        try:
            job = messages.read(message, unix_time())
        except BadPayload as error:
            self._mover.begin_alone(self._to_the_morgue(message, source, epoch, str(error)))
            return
        redelivered = message.headers.get("redelivered", "").strip() == "true"
        self.doubting = self.doubting or not redelivered
        arrival = Arrival(job, message, source, epoch, self._reactor.seconds())
        if redelivered and self.doubting:
            self._doubt(arrival)
        else:
            self.sort(arrival)

    def sort(self, arrival: Arrival) -> None:
        """Send an arrival where it belongs now."""
        if not is_current(arrival):
            return
        job, noted = arrival.job, self._notes.noted
        early = job.not_before - unix_time() if job.not_before else 0.0
        suspect = self._accusation(arrival) if noted.suspects else None
        if early > 0:
            self._too_early(arrival, early)
        elif suspect is not None:
            self._mover.begin_alone(self._accuse(arrival, suspect))
        elif arrival.source.alone:
            self._accept_alone(arrival)
        elif self._is_of_another_group(arrival):
            self._mover.send_again(arrival)
        elif job.solo:
            self._mover.move(arrival, self._topology.solo(arrival.source.group))
        elif noted.paused and (pause := noted.pause_of(job.queue, job.site)):
            self._shelve(arrival, self._topology.paused(arrival.source.group, *pause))
        elif not self._topology.is_served(job.queue):
            self._put_aside(arrival)
        elif self.flooding and self.is_sifted(arrival) and self._inbox.waiting_of(job.site) >= self.kept:
            self._mover.move(arrival, self._topology.lane(arrival.source.group, job.site))
        else:
            self._accept(arrival)

    def is_sifted(self, arrival: Arrival) -> bool:
        """Whether the job is of those that keep other sites out."""
        job = arrival.job
        return arrival.source.sifted and job.site == self.flooding and job.queue not in self.ordered

    def is_misplaced(self, arrival: Arrival) -> bool:
        """Whether what waits in the inbox must be sorted again, for what is noted or configured since."""
        pause = self._notes.noted.pause_of(arrival.job.queue, arrival.job.site)
        is_served = self._topology.is_served(arrival.job.queue)
        is_elsewhere = pause is not None or not is_served or self._is_of_another_group(arrival)
        return self._accusation(arrival) is not None or (is_elsewhere and not arrival.source.alone)

    def _is_of_another_group(self, arrival: Arrival) -> bool:
        """Whether the job's queue has gone over to another group since the job was sent."""
        return self._topology.group_of(arrival.job.queue) != arrival.source.group

    def _accusation(self, arrival: Arrival) -> Suspect | None:
        """Whose death is still to be counted against the job."""
        suspect = self._notes.noted.suspects.get(arrival.job.id)
        return suspect if suspect is not None and suspect.owner != arrival.accused else None

    def noted(self) -> None:
        """What is noted has changed: look again at what was put aside, and at what waits."""
        shelved, self._shelved = self._shelved, []
        for arrival in shelved:
            self.sort(arrival)
        self.sort_misplaced()

    def sort_misplaced(self) -> None:
        """Look at what waits in the inbox alone."""
        for arrival in self._inbox.withdraw(self.is_misplaced):
            self.sort(arrival)

    def close(self) -> None:
        """Forget what is put aside."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()

    def _call(self, seconds: float, action: Callable[[], object]) -> None:
        def due() -> None:
            self._calls.discard(call)
            action()

        call = self._reactor.callLater(seconds, due)
        self._calls.add(call)

    def _accept(self, arrival: Arrival) -> None:
        if arrival.job.not_before:
            arrival.job = attrs.evolve(arrival.job, not_before=0.0)
        self._take(arrival)

    def _accept_alone(self, arrival: Arrival) -> None:
        """Hold a suspect back until the broker has confirmed the ACK of the message that it replaces.

        A broker may deliver it before it confirms it. If the suspect killed the process then, the broker would give
        back the message that it replaces, and this attempt would not count."""
        early = self._accused.get(arrival.job.id)
        if early is None:
            self._accept(arrival)
        else:
            early.append(arrival)

    def _too_early(self, arrival: Arrival, early: float) -> None:
        dialect = arrival.source.consumer.dialect
        if early >= 1 and dialect.delayed(self._topology, arrival.source.group, early) is not None:
            self._mover.send_again(arrival, early)
        else:
            self._call(early, lambda: self.sort(arrival))

    def _shelve(self, arrival: Arrival, destination: str) -> None:
        if destination == arrival.source.destination:
            self._shelved.append(arrival)  # it came from there; sent again, it would come again
        else:
            self._mover.move(arrival, destination)

    def _put_aside(self, arrival: Arrival) -> None:
        """Nobody here takes jobs of its queue: let it wait where it keeps no others out, until somebody does."""
        queue = arrival.job.queue
        if (queue, "") in self._notes.noted.resumed:
            self._shelve(arrival, self._topology.paused(arrival.source.group, queue, ""))
            return
        self._unserved.setdefault(queue, []).append(arrival)
        if len(self._unserved[queue]) == 1:
            self._mover.begin_alone(self._note_unserved(queue))

    async def _note_unserved(self, queue: str) -> None:
        """Before any is sent there, so that all processes listen to where they are once the queue is served."""
        self.log.warn(
            "no handler is configured for queue {queue}: its jobs are put aside until one is; "
            "name one in [handlers], and update",
            queue=queue,
        )
        backoff = Backoff(0.5, 15.0, self._random)
        while True:
            try:
                await self._notes.write(lambda notes: notes.put_aside(queue))
                break
            except StoreUnavailable as error:
                self.log.warn("jobs of queue {queue} can't be put aside yet: {error}", queue=queue, error=error)
            await deferLater(self._reactor, backoff.failed())
        for arrival in self._unserved.pop(queue):
            self.sort(arrival)

    def _doubt(self, arrival: Arrival) -> None:
        """Its process may have died of it: wait a moment for its parent to say so."""
        self._doubtful.append(arrival)
        if len(self._doubtful) == 1:
            self._call(GRACE, lambda: self._mover.begin_alone(self._judge()))

    async def _judge(self) -> None:
        try:
            await self._notes.refresh()
        except StoreUnavailable as error:
            self.log.warn("suspects can't be read: {error}", error=error)
        doubtful, self._doubtful = self._doubtful, []
        for arrival in doubtful:
            self.sort(arrival)

    async def _accuse(self, arrival: Arrival, suspect: Suspect) -> None:
        job = attrs.evolve(arrival.job, attempt=arrival.job.attempt + 1, solo=True, reason=suspect.cause)
        self._inbox.went_away(job)
        # Before it can arrive there; a crash in between costs nothing, since it is this message that is accused.
        await self._notes.write(lambda notes: notes.moved(job.id, job.queue, job.site))
        solo = self._topology.solo(arrival.source.group)
        self._accused.setdefault(job.id, [])
        try:
            await self._mover.replace_surely(arrival, [Outgoing(job, solo, accused=suspect.owner)])
        finally:
            for early in self._accused.pop(job.id, ()):
                self.sort(early)

    async def _to_the_morgue(self, message: Frame, source: Source, epoch: int, reason: str) -> None:
        created = message.headers.get("created", "").strip()
        letter = Letter(
            id=digest_id(message.body, created),
            site="",
            queue=source.group,
            body=message.body,
            encoding=PHP,
            created=unix_time(),
            died=unix_time(),
            reason=f"{reason} (from {source.destination})",
        )
        self.log.error("a message on {source} is a dead letter: {reason}", source=source.destination, reason=reason)
        backoff = Backoff(0.5, 15.0, self._random)
        while True:
            try:
                await self._bury(letter)
                break
            except StoreUnavailable as error:
                self.log.error("dead letter {id} waits for the morgue: {error}", id=letter.id, error=error)
            await deferLater(self._reactor, backoff.failed())
        if source.consumer.ack(Arrival(Job(letter.id, "", "", b""), message, source, epoch)):
            self._bad_item(letter.queue, letter.site)
