"""FloodWatch: sees when one site's jobs keep all others out, and has them moved to its lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from snqd.pipe.periodic import PeriodicCall
from snqd.stores.interface import Want
from snqd.stores.stomp.consumer import Source
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.intake import MAX_PREFETCH
from snqd.stores.stomp.router import Router

SIFT_EVERY = 0.05
"""Seconds between looks."""
FLOOD_SHARE = 0.9
"""Of the slots in hand; a site that has so many keeps others out."""
IDLE_SHARE = 0.5
"""Of the claims; if more of them find a free slot, this process is not busy, and a flood is none any more."""
LOOKS = 10
"""Of so many in a row each must find this process busy, before anything is moved."""
SIFT_ROOM = 500
"""Messages that may be on their way from a queue to a lane at once."""


class FloodWatch:
    """While one site's jobs fill all slots of this process, those on their way here go to a lane, so that others get
    through. Jobs that take no time fill no slots, and are not sifted; nor are those of which many are done at once.

    :param sources: asked at each look for what is listened to.
    """

    log = Logger()

    def __init__(self, reactor: Any, inbox: Inbox, sorter: Router, sources: Callable[[], Iterable[Source]]) -> None:
        self._inbox = inbox
        self._sorter = sorter
        self._sources = sources
        self._claims = self._idle_claims = self._taken = 0
        self._lately: list[int] = []
        self._loop = PeriodicCall(reactor, self._look)

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
        claims, idle, taken = self._claims, self._idle_claims, self._taken
        self._claims = self._idle_claims = self._taken = 0
        is_busy = idle <= claims * IDLE_SHARE and self._inbox.in_hand() > 0
        self._lately = [*self._lately[1 - LOOKS :], taken] if is_busy else []
        sources = [source for source in self._sources() if source.sifted]
        is_flood = is_busy if self._sorter.flooding else not idle and self._are_slow(sources) and _are_full(sources)
        site = self._who_floods() if is_flood else ""
        if site:
            self._sift(site)
            self._make_room(sources)
        elif not is_flood:
            self._sorter.flooding = ""

    def _are_slow(self, sources: Sequence[Source]) -> bool:
        """Whether this process has been busy for long enough to know that it could move its jobs faster than it does
        them: what is done as fast is better done than moved. Only before any is moved: that takes its part of the
        processor, and slows them down.
        """
        moves = min((source.consumer.dialect.moves for source in sources), default=0.0)
        return len(self._lately) == LOOKS and sum(self._lately) < moves * LOOKS * SIFT_EVERY

    def _who_floods(self) -> str:
        by_site: Counter[str] = Counter()
        for (_, site), number in self._inbox.shares_in_hand().items():
            by_site[site] += number
        for site, number in by_site.most_common(1):
            if number >= FLOOD_SHARE * by_site.total():
                return site
        return ""

    def _make_room(self, sources: Sequence[Source]) -> None:
        enough = min(self._inbox.in_hand() + SIFT_ROOM, MAX_PREFETCH)
        for source in sources:
            if source.is_full and source.most < enough and not source.is_shut:
                source.consumer.listen(source, enough - source.most)

    def _sift(self, site: str) -> None:
        if not self._sorter.flooding:
            self.log.info("jobs of site {site} keep others out: they go to its lane", site=site)
        self._sorter.flooding = site
        self._sorter.kept = self._inbox.in_hand()
        if self._inbox.waiting_of(site) > self._sorter.kept:
            for arrival in self._inbox.withdraw(self._sorter.is_sifted):
                self._sorter.sort(arrival)


def _are_full(sources: Sequence[Source]) -> bool:
    return any(source.is_full for source in sources)
