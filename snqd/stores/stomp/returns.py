"""Returns: gives back to the broker what was sent to this process and does not begin.

A broker sends ahead as much as it was let send while jobs were quick. When jobs take long, what waits in the inbox is
kept from processes that are idle, and its time runs out: RabbitMQ closes the connection of whoever settles a message
later than ``consumer_timeout`` after it was sent. So this object looks once a second, and gives back

- what waits from a source that is let bring more than at its beginning, where it would take :data:`LONGEST_WAIT`
  seconds to begin it all; but not while a flood is sifted there, which ends sooner if it goes on;
- what has waited for a part of ``timeout``, from any source: that stays shut until the inbox flows.

A source listens less from then on, so that what went back does not come again at once: a return counts against the
delivery limit of RabbitMQ's quorum queues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from snqd.stores.interface import Want
from snqd.stores.stomp.consumer import Arrival, Source
from snqd.stores.stomp.inbox import Inbox

LOOK_EVERY = 1.0
"""Seconds between looks."""
LONGEST_WAIT = 30.0
"""Seconds that it may take to begin what waits here, at the pace of the last second."""
FLOWING = 1.0
"""Seconds: where no message has waited for longer, another source may bring something too."""
OVERDUE_SHARE = 0.25
"""Of ``timeout``: how long a message may wait here. It may then run for the whole of `timeout`, which must be over
within the broker's ``consumer_timeout``."""


class Returns:
    """Looks after one process's inbox. Only brokers that put a message back to its place get any back.

    :param sources: asked at each look for what is listened to.
    :param is_flooded: whether a site's jobs are moved to its lane at this time.
    :param timeout: asked at each look for ``[queue] timeout``, in seconds.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        inbox: Inbox,
        sources: Callable[[], Iterable[Source]],
        is_flooded: Callable[[], bool],
        timeout: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._inbox = inbox
        self._sources = sources
        self._is_flooded = is_flooded
        self._timeout = timeout
        self._starved = False
        self._taken = 0
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin."""
        self._loop.start(LOOK_EVERY, now=False)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def claimed(self, wants: Mapping[str, Want], taken: int) -> None:
        """A claim asked for these, and got so many jobs."""
        self._taken += taken
        # Slots stay empty beside a full inbox: what they wait for may be behind it, at the broker.
        self._starved |= not taken and any(not want.full for want in wants.values())

    def look(self) -> None:
        """Give back what should not wait here, or else let a source that was shut bring something again."""
        now, flows, is_slow = self._reactor.seconds(), True, self._is_slow()
        for source, waiting in self._by_source().items():
            longest = now - min(arrival.at for arrival in waiting)
            flows = flows and longest < FLOWING
            if longest >= OVERDUE_SHARE * self._timeout():
                self._give_back(source, waiting, shut=True)
            elif is_slow and source.has_grown and not (source.sifted and self._is_flooded()):
                self._give_back(source, waiting, shut=False)
        shut = [source for source in self._sources() if source.is_shut]
        if shut and flows:
            first = min(shut, key=lambda source: source.renewed)
            first.consumer.reopen(first)

    def _is_slow(self) -> bool:
        """Whether what waits here can't begin soon."""
        taken, starved = self._taken, self._starved
        self._taken, self._starved = 0, False
        waiting = sum(1 for _ in self._inbox.waiting())
        return not starved and waiting > taken * LONGEST_WAIT / LOOK_EVERY

    def _by_source(self) -> dict[Source, list[Arrival]]:
        waiting: dict[Source, list[Arrival]] = defaultdict(list)
        for arrival in self._inbox.waiting():
            if arrival.source.consumer.dialect.nack_requeues:
                waiting[arrival.source].append(arrival)
        return waiting

    def _give_back(self, source: Source, waiting: list[Arrival], shut: bool) -> None:
        going = set(map(id, waiting))
        self._inbox.withdraw(lambda arrival: id(arrival) in going)
        source.consumer.give_back(source, sorted(waiting, key=lambda arrival: arrival.at), shut)
        self.log.debug(
            "{number} jobs that did not begin here went back to {source}",
            number=len(waiting),
            source=source.destination,
        )
