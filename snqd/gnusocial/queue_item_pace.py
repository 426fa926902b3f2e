"""When which ``queue_item`` tables are looked at, and how much is taken: pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

import attrs

from snqd.core.backoff import Backoff
from snqd.core.clocks import Monotonic
from snqd.gnusocial.queue_item_tables import ItemTable
from snqd.stores.interface import Depth

TABLES_AT_ONCE = 100
"""That one look asks for."""
FIRST_REST = 5.0
LONGEST_REST = 300.0
"""Seconds for which a table that can't be read is left alone."""
TIDY_EVERY = 60.0
"""Seconds between two looks for stale claims in a table; a fourth of the age that makes them stale, if that is less."""
TIDY_AT_ONCE = 20
IDLE_SHARE = 9.0
LONGEST_PAUSE = 30.0
"""A round that found nothing is followed by a pause of so many times its length, in seconds at most so long."""
ROOM = 10_000
"""Jobs of one site that may wait in the store before no more of its rows are taken."""
LOOK_AT_DEPTHS_EVERY = 2.0


def pause_after(seconds: float) -> float:
    """Seconds to wait after a round of so many seconds that found nothing, so that idle tables cost little."""
    return min(seconds * IDLE_SHARE, LONGEST_PAUSE)


@attrs.define
class _Rest:
    backoff: Backoff
    until: float = 0.0
    told: str = ""


class IdleBackoff:
    """Which sites' tables failed, and are left alone for a while, longer each time.

    :param now: a steady clock.
    """

    def __init__(self, now: Callable[[], Monotonic], random: Random) -> None:
        self._now = now
        self._random = random
        self._rests: dict[str, _Rest] = {}

    def failed(self, site: str, reason: str) -> bool:
        """Leave a site alone; whether that is news."""
        rest = self._rests.setdefault(site, _Rest(Backoff(FIRST_REST, LONGEST_REST, self._random)))
        rest.until = self._now() + rest.backoff.failed()
        news, rest.told = rest.told != reason, reason
        return news

    def fine(self, site: str) -> bool:
        """The site's table can be read; whether that is news."""
        return self._rests.pop(site, None) is not None

    def keep(self, sites: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(sites)
        self._rests = {site: rest for site, rest in self._rests.items() if site in kept}

    def portions(self, tables: Sequence[ItemTable]) -> list[list[ItemTable]]:
        """Those of `tables` that are to be looked at, in portions; what failed last time goes alone."""
        good = [table for table in tables if table.site not in self._rests]
        due = [table for table in tables if table.site in self._rests and self._rests[table.site].until <= self._now()]
        portions = [good[first : first + TABLES_AT_ONCE] for first in range(0, len(good), TABLES_AT_ONCE)]
        return [*portions, *([table] for table in due)]


class CleanupSchedule:
    """When tables were last tidied.

    :param now: a steady clock.
    """

    def __init__(self, now: Callable[[], Monotonic]) -> None:
        self._now = now
        self._last: dict[str, float] = {}

    def due(self, tables: Sequence[ItemTable], age: float) -> list[ItemTable]:
        """A few of `tables` whose turn it is, and which count as tidied now."""
        every = min(TIDY_EVERY, age / 4)
        late = [table for table in tables if self._now() - self._last.get(table.site, -every) >= every]
        for table in late[:TIDY_AT_ONCE]:
            self._last[table.site] = self._now()
        return late[:TIDY_AT_ONCE]


class TableIntake:
    """Keeps a flood of rows in its table, where it is a burden to nobody else, instead of in the store.

    It counts what is taken; only for a site that may have too much is the store asked.

    :param now: a steady clock.
    """

    def __init__(self, now: Callable[[], Monotonic]) -> None:
        self._now = now
        self._waiting: dict[str, int] = {}
        self._looked_at = -LOOK_AT_DEPTHS_EVERY

    def with_room(self, tables: Sequence[ItemTable]) -> list[ItemTable]:
        """Those whose sites have not too much in the store."""
        return [table for table in tables if self._waiting.get(table.site, 0) < ROOM]

    def wants_depths(self, tables: Sequence[ItemTable]) -> bool:
        """Whether :meth:`learn` could change what :meth:`with_room` says of `tables`."""
        full = len(self.with_room(tables)) < len(tables)
        return full and self._now() - self._looked_at >= LOOK_AT_DEPTHS_EVERY

    def learn(self, depths: Sequence[Depth] | None) -> None:
        """Start from what the store has; None, where it can't tell, is nothing."""
        self._looked_at = self._now()
        self._waiting = {}
        for depth in depths or ():
            self._waiting[depth.site] = self._waiting.get(depth.site, 0) + depth.waiting

    def took(self, numbers: Mapping[str, int]) -> None:
        """So many jobs more, by site."""
        for site, number in numbers.items():
            self._waiting[site] = self._waiting.get(site, 0) + number
