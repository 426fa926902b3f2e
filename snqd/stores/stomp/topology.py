"""Topology: what the destinations of a farm are called, and which of them a job goes to; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from zlib import crc32

import attrs

Breakouts = Mapping[tuple[str, str], str]
NO_BREAKOUTS: Breakouts = {}

LANES = 16
RUNGS = tuple(2**n for n in range(13))
"""Seconds that the delay queues hold a message, 1 to 4096; a longer delay takes several of them."""


@attrs.frozen
class Topology:
    """Names of destinations, all beginning with the farm's base, so that two farms on one broker stay apart.

    What other programs use too is called base + group; what snqd keeps for itself, base + ``snq.`` + group + a word.

    :ivar base: ``queue_basename``.
    :ivar group_of: the group that serves a queue, or that would.
    :ivar is_served: whether any does.
    :ivar breakouts: those in force: names by queue and site, empty for all sites. The same object while none changes.
    """

    base: str
    group_of: Callable[[str], str]
    breakouts: Callable[[], Breakouts] = lambda: NO_BREAKOUTS
    is_served: Callable[[str], bool] = lambda queue: True

    def of_job(self, queue: str, site: str) -> str:
        """Where jobs of `queue` and `site` are sent to: the site's own breakout, the queue's, or the group's."""
        breakouts = self.breakouts()
        if breakouts:
            name = breakouts.get((queue, site)) or breakouts.get((queue, ""))
            if name is not None:
                return f"{self.base}{name}"
        return self.of_group(self.group_of(queue))

    def breakouts_of(self, group: str) -> Iterator[tuple[str, bool]]:
        """The breakouts from which the children of `group` take jobs too, and whether each is of one site."""
        for (queue, site), name in self.breakouts().items():
            if self.group_of(queue) == group:
                yield f"{self.base}{name}", bool(site)

    def of_group(self, group: str) -> str:
        """What the children of `group` take their jobs from."""
        return f"{self.base}{group}"

    def due(self, group: str) -> str:
        """Where jobs come back to when they have waited in a delay queue."""
        return self._own(group, "due")

    def delay(self, group: str, rung: int) -> str:
        """The queue that holds what it gets for `rung` seconds."""
        return self._own(group, f"delay-{rung}s")

    def solo(self, group: str) -> str:
        """Where suspects wait to run alone."""
        return self._own(group, "solo")

    def nowhere(self) -> str:
        """Where nobody sends anything, for subscriptions that are to bring nothing."""
        return f"{self.base}snq.nowhere"

    def lane(self, group: str, site: str) -> str:
        """The lane of `site`, for its jobs that flood the others."""
        return self._own(group, f"lane-{crc32(site.encode()) % LANES}")

    def lanes(self, group: str) -> list[str]:
        """All lanes."""
        return [self._own(group, f"lane-{n}") for n in range(LANES)]

    def paused(self, group: str, queue: str, site: str) -> str:
        """Where jobs wait that a pause covers: of a queue, of a site (`queue` empty), or of a site's share of it; and
        those of a queue that is not served."""
        return self._own(group, ".".join(word for word in ("paused", f"q-{queue}", f"s-{site}") if word[2:]))

    def _own(self, group: str, word: str) -> str:
        return f"{self.base}snq.{group}.{word}"


def rung_for(seconds: float) -> int | None:
    """The delay queue for a job that is due in `seconds`, None if that is less than any of them holds.

    Never one that holds longer: a job that is early hops on, one that is late is late.
    """
    return max((rung for rung in RUNGS if rung <= seconds), default=None)
