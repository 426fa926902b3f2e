"""Intake: which destinations a process listens to, and how much of each it lets come."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from snqd.pipe.periodic import PeriodicCall
from snqd.stores.interface import Want
from snqd.stores.stomp.consumer import Consumer, Source
from snqd.stores.stomp.shared_state import PauseKey
from snqd.stores.stomp.topology import Breakouts, Topology

MAX_PREFETCH = 1000
"""No source has more messages here than so many, whatever is wanted."""
SMALL_PREFETCH = 4
"""What sources begin with that are seldom busy."""
REST = 1.0
"""Seconds between looks for sources at rest; one of which nothing came in between gets less room again."""


class Intake:
    """The sources of a process: those of each group that it serves, on every broker."""

    log = Logger()

    def __init__(self, reactor: Any, topology: Topology, consumers: Sequence[Consumer]) -> None:
        self._reactor = reactor
        self._topology = topology
        self._consumers = consumers
        self._groups: set[str] = set()
        self._breakouts: Breakouts = {}
        self._room = MAX_PREFETCH
        self._room_asked = 0
        self._at_rest: dict[Source, int] = {}
        self._loop = PeriodicCall(reactor, self._look_for_rest)

    def start(self) -> None:
        """Begin to take room back from sources at rest, which other processes may need more."""
        self._loop.start(REST, now=False)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def sources(self) -> Iterator[Source]:
        """All that is listened to."""
        return (source for consumer in self._consumers for source in list(consumer.sources.values()))

    def listen(self, wants: Mapping[str, Want], resumed: Collection[PauseKey]) -> bool:
        """Listen for what is wanted too; returns whether groups or breakouts have changed.

        :param resumed: see :attr:`snqd.stores.stomp.shared_state.SharedStateSnapshot.resumed`.
        """
        room = min(max((want.room for want in wants.values()), default=0), MAX_PREFETCH)
        self._room_asked = max(room, self._room_asked)
        groups = {self._topology.group_of(queue) for queue in wants} - self._groups
        is_other = self._breakouts is not self._topology.breakouts()  # another configuration has others, if equal ones
        if not room or not (groups or is_other):
            return False
        self._groups |= groups
        self._listen_to_breakouts(room)
        for group in groups:
            self._listen_to_group(group, room)
        self.listen_to_resumed(resumed)
        return True

    def listen_to_resumed(self, resumed: Collection[PauseKey]) -> None:
        """Listen to where pauses have put jobs, now that they are over."""
        for group in self._groups:
            for queue, site in resumed:  # in the meantime the queue may have gone over to another group
                self._add(self._topology.paused(group, queue, site), group, SMALL_PREFETCH)

    def listen_to_solo(self, queues: Collection[str]) -> None:
        """Listen for suspects of `queues`."""
        for group in {self._topology.group_of(queue) for queue in queues}:
            self._add(self._topology.solo(group), group, 1, alone=True)

    def make_room(self, limit: int, alone: bool = False) -> None:
        """Let more come, up to `limit` from each source, from those that their prefetch holds back."""
        now = self._reactor.seconds()
        for source in self.sources():
            most = min(limit if alone else limit * source.consumer.dialect.lump, MAX_PREFETCH)
            if source.alone == alone and source.most < most and not source.is_shut and source.wants_room(now):
                source.consumer.listen(source, most - source.most)

    def _look_for_rest(self) -> None:
        # The most that was asked for lately: what the manager takes when it has nothing to do.
        self._room, self._room_asked = self._room_asked or self._room, 0
        at_rest = {source: source.received for source in self.sources() if not source.unsettled}
        for source, received in at_rest.items():
            room = min(source.least, self._room)
            if source.prefetch > room and self._at_rest.get(source) == received:
                source.consumer.shrink(source, room)
        self._at_rest = at_rest

    def _listen_to_group(self, group: str, room: int) -> None:
        self._add(self._topology.of_group(group), group, room, sifted=True)
        self._add(self._topology.due(group), group, max(room // 4, SMALL_PREFETCH))
        for lane in self._topology.lanes(group):
            self._add(lane, group, SMALL_PREFETCH)

    def _listen_to_breakouts(self, room: int) -> None:
        old, self._breakouts = self._breakouts, self._topology.breakouts()
        for group in self._groups:
            for destination, of_site in self._topology.breakouts_of(group):
                # A site that has a destination of its own keeps nobody out, and needs no lane.
                prefetch = max(room // 4, SMALL_PREFETCH) if of_site else room
                self._add(destination, group, prefetch, sifted=not of_site)
        for name in sorted(set(old.values()) - set(self._breakouts.values())):
            self.log.warn(
                "breakout {name} is configured no more: this process takes what is left in {base}{name} until it ends; "
                "see that nothing is left there before the next restart",
                name=name,
                base=self._topology.base,
            )

    def _add(self, destination: str, group: str, prefetch: int, sifted: bool = False, alone: bool = False) -> None:
        for consumer in self._consumers:
            if destination not in consumer.sources:
                consumer.listen(Source(destination, group, consumer, sifted, alone, prefetch), prefetch)
