"""FloodWatch: sees when one site's jobs keep all others out, and has them moved to its lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from snqd.stores.interface import Want
from snqd.stores.stomp.consumer import Source
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.intake import MAX_PREFETCH
from snqd.stores.stomp.sorter import Sorter

SIFT_EVERY = 0.05
"""Seconds between looks."""
FLOOD_SHARE = 0.9
"""Of the slots in hand; a site that has so many keeps others out."""
IDLE_SHARE = 0.5
"""Of the claims; if more of them find a free slot, a flood is none any more."""
LOOKS = 10
"""Of so many in a row each must find a site that keeps others out, before anything is moved."""
FAST = 2500.0
"""Jobs a second of this process: about as many as it could move. What is done as fast is better done than moved."""
SIFT_ROOM = 100
"""Messages that may be on their way from a queue to a lane at once."""


class FloodWatch:
    """While one site's jobs fill all slots of this process, those on their way here go to a lane, so that others get
    through. Jobs that take no time fill no slots, and are not sifted; nor are those of which many are done at once.

    :param sources: asked at each look for what is listened to.
    """

    log = Logger()

    def __init__(self, reactor: Any, inbox: Inbox, sorter: Sorter, sources: Callable[[], Iterable[Source]]) -> None:
        self._inbox = inbox
        self._sorter = sorter
        self._sources = sources
        self._claims = self._idle_claims = self._taken = 0
        self._seen = 0
        self._taken_meanwhile = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin."""
        self._loop.start(SIFT_EVERY, now=False)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def claimed(self, wants: Mapping[str, Want], taken: int) -> None:
        """A claim asked for these, and got so many jobs."""
        self._claims += 1
        self._taken += taken
        self._idle_claims += any(not want.full for want in wants.values())

    def _look(self) -> None:
        sources = [source for source in self._sources() if source.sifted]
        taken, self._taken = self._taken, 0
        if not self._are_slots_full() or not any(source.is_full or self._sorter.flooding for source in sources):
            self._sorter.flooding = ""
            self._seen = 0
            return
        site = self._who_floods()
        if site and (self._sorter.flooding or self._is_slow(taken)):
            self._sift(site)
            self._make_room(sources)

    def _who_floods(self) -> str:
        by_site: Counter[str] = Counter()
        for (_, site), number in self._inbox.shares_in_hand().items():
            by_site[site] += number
        for site, number in by_site.most_common(1):
            if number >= FLOOD_SHARE * by_site.total():
                return site
        return ""

    def _is_slow(self, taken: int) -> bool:
        """Whether a flood has been seen for long enough to know that its jobs could be moved faster than they are done.

        Only before any is moved: that takes its part of the processor, and slows them down.
        """
        self._taken_meanwhile = taken + (self._taken_meanwhile if self._seen else 0)
        self._seen += 1
        if self._seen < LOOKS:
            return False
        self._seen = 0
        return self._taken_meanwhile / (LOOKS * SIFT_EVERY) < FAST

    def _are_slots_full(self) -> bool:
        """Whether no claim since the last look found a free slot; few did, where a flood is sifted already."""
        claims, idle = self._claims, self._idle_claims
        self._claims = self._idle_claims = 0
        return idle <= (claims * IDLE_SHARE if self._sorter.flooding else 0)

    def _make_room(self, sources: Sequence[Source]) -> None:
        enough = min(self._inbox.in_hand() + SIFT_ROOM, MAX_PREFETCH)
        for source in sources:
            if source.is_full and source.prefetch < enough:
                source.consumer.listen(source, enough - source.prefetch)

    def _sift(self, site: str) -> None:
        if not self._sorter.flooding:
            self.log.info("jobs of site {site} keep others out: they go to its lane", site=site)
        self._sorter.flooding = site
        self._sorter.kept = self._inbox.in_hand()
        if self._inbox.waiting_of(site) > self._sorter.kept:
            for arrival in self._inbox.withdraw(self._sorter.is_sifted):
                self._sorter.sort(arrival)
