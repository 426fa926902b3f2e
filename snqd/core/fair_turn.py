"""FairTurn: which waiting job starts next, so that every site gets its share of the handlers' time.

Each site has used so many seconds of handlers, divided by its weight; the one that has used least goes next. A job is
charged what its like took lately when it starts, and the rest when it ends: long jobs can't slip in by the dozen
before the first is paid for. Who comes back from a pause goes on level with those being served: it neither has saved up
turns nor pays for time that nobody else wanted. Within a site its queues share likewise. (This is start-time fair
queueing. Deficit round robin shares as well, but needs a quantum: for jobs of 1 ms and of 600 s at once there is no
good one.)

Picking costs a heap's step for each queue that has something waiting, not for each site.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

import attrs

LEAST_COST = 0.0001
"""Seconds that even a job that does nothing costs."""
FORGET_ABOVE = 4096
_MEMORY = 0.1
"""How much of a mean the latest job makes."""

T = TypeVar("T")


class Usage:
    """Who has used how many weighted seconds, and where those that are being served stand."""

    def __init__(self) -> None:
        self.used: dict[str, float] = {}
        self.floor = 0.0
        self._top = 0.0

    def enter(self, name: str) -> None:
        """`name` wants to be served again."""
        self.used[name] = max(self.used.get(name, 0.0), self.floor)

    def serve(self, name: str, cost: float) -> None:
        """`name` is served, at `cost` weighted seconds."""
        used = self.used[name]
        if used > self.floor:  # max() would cost five times as much, several times a job
            self.floor = used
        self.used[name] = used = used + cost
        if used > self._top:
            self._top = used

    def charge(self, name: str, cost: float) -> None:
        """Correct what `name` has used by `cost` weighted seconds."""
        used = self.used.get(name, self.floor) + cost
        if used < 0.0:
            used = 0.0
        self.used[name] = used
        if used > self._top:
            self._top = used

    def rest(self) -> None:
        """Nobody wants to be served: whoever comes next starts level with all others."""
        self.floor = self._top

    def forget(self, but: Callable[[str], bool]) -> None:
        """Drop those who would enter at the floor anyway, `but` some."""
        self.used = {name: used for name, used in self.used.items() if used > self.floor or but(name)}


class MeanCosts:
    """What jobs of a queue took lately, for all sites and for each, in seconds."""

    def __init__(self) -> None:
        self._means: dict[str, dict[str, float]] = {}

    def expected(self, queue: str, site: str = "") -> float | None:
        """What the next one will cost; None before the first has ended. `site` empty: for all sites."""
        means = self._means.get(queue)
        return None if means is None else means.get(site, means[""])

    def add(self, queue: str, site: str, cost: float) -> None:
        """One more job has ended."""
        means = self._means.setdefault(queue, {"": cost})
        if len(means) > FORGET_ABOVE:
            self._means[queue] = means = {"": means[""]}
        means[""] += (cost - means[""]) * _MEMORY
        mean = means.get(site, cost)
        means[site] = mean + (cost - mean) * _MEMORY


class Lane(Generic[T]):
    """What waits in one queue, by site."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[T]] = {}
        self.heap: list[tuple[float, int, str]] = []
        """Sites by what they had used when they were put in; brought up to date when they come to the top."""
        self.size = 0


@attrs.define
class Turn(Generic[T]):
    """A job whose turn it is; give it back to :meth:`FairTurn.ended`. Not frozen for its speed, but nobody changes one.

    :ivar charged: seconds that its site was charged for it so far.
    """

    queue: str
    site: str
    item: T
    charged: float


class FairTurn(Generic[T]):
    """What waits in this process, and whose turn it is.

    :param site_weight: a site's weight, by nickname.
    :param queue_weight: a queue's weight among the queues of the same site.
    """

    def __init__(self, site_weight: Callable[[str], float], queue_weight: Callable[[str], float]) -> None:
        self._site_weight = site_weight
        self._queue_weight = queue_weight
        self._lanes: dict[str, Lane[T]] = {}
        self._sites = Usage()
        self._queues_of: dict[str, Usage] = {}
        self._ticks = count()
        self._forget_above = FORGET_ABOVE
        self.costs = MeanCosts()

    def __len__(self) -> int:
        return sum(lane.size for lane in self._lanes.values())

    def waiting(self, queue: str) -> int:
        """How many jobs of `queue` wait."""
        lane = self._lanes.get(queue)
        return lane.size if lane is not None else 0

    def waiting_by_site(self, queue: str) -> Mapping[str, int]:
        """How many jobs of `queue` wait, for each site that has some."""
        lane = self._lanes.get(queue)
        return {site: len(items) for site, items in lane.waiting.items()} if lane is not None else {}

    def add(self, queue: str, site: str, item: T) -> None:
        """One more waits."""
        lane = self._lanes.get(queue)
        if lane is None:
            lane = self._lanes[queue] = Lane()
        items = lane.waiting.get(site)
        if items is None:
            items = lane.waiting[site] = deque()
            self._enter(queue, site)
            heappush(lane.heap, (self._sites.used[site], next(self._ticks), site))
        items.append(item)
        lane.size += 1

    def next(self, open_to: Callable[[str], bool]) -> Turn[T] | None:
        """Take out the job whose turn it is, among the queues that are `open_to` more; None if there is none."""
        chosen: tuple[float, float, int] | None = None
        chosen_queue = ""
        for queue, lane in self._lanes.items():
            if lane.size and open_to(queue):
                used, tick, site = self._head(lane)
                key = (used, self._queues_of[site].used[queue], tick)
                if chosen is None or key < chosen:
                    chosen, chosen_queue = key, queue
        return self._take(chosen_queue) if chosen is not None else None

    def ended(self, turn: Turn[T], seconds: float) -> None:
        """The job has occupied a handler for `seconds`: charge what was not charged at its start."""
        cost = seconds if seconds > LEAST_COST else LEAST_COST
        self.costs.add(turn.queue, turn.site, cost)
        self._charge(turn, cost - turn.charged)

    def refund(self, turn: Turn[T]) -> None:
        """The job did not run: charge nothing for it."""
        self._charge(turn, -turn.charged)

    def _charge(self, turn: Turn[T], seconds: float) -> None:
        self._sites.charge(turn.site, seconds / self._site_weight(turn.site))
        queues = self._queues_of.get(turn.site)
        if queues is not None:
            queues.charge(turn.queue, seconds / self._queue_weight(turn.queue))

    def clear(self) -> list[T]:
        """Take out everything that waits."""
        items = [item for lane in self._lanes.values() for some in lane.waiting.values() for item in some]
        self._lanes.clear()
        return items

    def drop(self, queue: str) -> list[T]:
        """Take out everything of `queue` that waits."""
        lane = self._lanes.pop(queue, None)
        return [item for some in lane.waiting.values() for item in some] if lane is not None else []

    def _enter(self, queue: str, site: str) -> None:
        if not any(lane.size for lane in self._lanes.values()):
            self._sites.rest()
        if len(self._sites.used) > self._forget_above:
            self._forget()
        if not self._waits(site):
            self._sites.enter(site)
        queues = self._queues_of.get(site)
        if queues is None:
            queues = self._queues_of[site] = Usage()
        queues.enter(queue)

    def _forget(self) -> None:
        self._sites.forget(self._waits)
        self._queues_of = {site: usage for site, usage in self._queues_of.items() if site in self._sites.used}
        self._forget_above = max(FORGET_ABOVE, 2 * len(self._sites.used))

    def _waits(self, site: str) -> bool:
        return any(lane.waiting.get(site) for lane in self._lanes.values())

    def _head(self, lane: Lane[T]) -> tuple[float, int, str]:
        used = self._sites.used
        while True:
            at, tick, site = head = lane.heap[0]
            now = used[site]
            if now == at:
                return head
            heapreplace(lane.heap, (now, tick, site))

    def _take(self, queue: str) -> Turn[T]:
        lane = self._lanes[queue]
        site = heappop(lane.heap)[2]
        items = lane.waiting[site]
        item = items.popleft()
        lane.size -= 1
        charged = self.costs.expected(queue, site) or LEAST_COST
        self._sites.serve(site, charged / self._site_weight(site))
        self._queues_of[site].serve(queue, charged / self._queue_weight(queue))
        if items:
            heappush(lane.heap, (self._sites.used[site], next(self._ticks), site))
        else:
            del lane.waiting[site]
        return Turn(queue, site, item, charged)
