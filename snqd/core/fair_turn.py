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
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

import attrs

from snqd.core.mean_costs import MeanCosts, moved
from snqd.core.usage import QueueAccount, SiteAccount, Usage

LEAST_COST = 0.0001
"""Seconds that even a job that does nothing costs."""
FORGET_ABOVE = 16_384
"""Sites of which something is remembered: ten thousand busy ones must not be forgotten and learned again each time."""

T = TypeVar("T")


class SiteBacklog(Generic[T]):
    """What waits of one site in one queue, and who pays for it.

    :ivar account: the site's.
    :ivar share: the queue's, among those of the site.
    """

    __slots__ = ("account", "items", "share", "site")

    def __init__(self, site: str, account: SiteAccount, share: QueueAccount) -> None:
        self.site = site
        self.account = account
        self.share = share
        self.items: deque[T] = deque()


class Lane(Generic[T]):
    """What waits in one queue, by site."""

    def __init__(self) -> None:
        self.waiting: dict[str, SiteBacklog[T]] = {}
        self.heap: list[tuple[float, int, SiteBacklog[T]]] = []
        """Sites by what they had used when they were put in; brought up to date when they come to the top."""
        self.size = 0

    def drop_empty(self) -> None:
        """Forget the sites of which nothing waits any more."""
        self.waiting = {site: backlog for site, backlog in self.waiting.items() if backlog.items}
        self.heap = [entry for entry in self.heap if entry[2].items]
        heapify(self.heap)


@attrs.define
class Turn(Generic[T]):
    """A job whose turn it is; give it back to :meth:`FairTurn.ended`. Not frozen for its speed, but nobody changes one.

    :ivar charged: seconds that its site was charged for it so far.
    :ivar account: who pays: the site.
    :ivar share: and the queue, among those of the site.
    :ivar site_weight: by which it is charged, from start to end the same.
    :ivar queue_weight: likewise.
    """

    queue: str
    site: str
    item: T
    charged: float
    account: SiteAccount
    share: QueueAccount
    site_weight: float
    queue_weight: float


class FairTurn(Generic[T]):
    """What waits in this process, and whose turn it is.

    :param site_weight: a site's weight, by nickname.
    :param queue_weight: a queue's weight among the queues of the same site.
    """

    def __init__(self, site_weight: Callable[[str], float], queue_weight: Callable[[str], float]) -> None:
        self._site_weight = site_weight
        self._queue_weight = queue_weight
        self._lanes: dict[str, Lane[T]] = {}
        self._size = 0
        self._sites = Usage(SiteAccount)
        self._ticks = count()
        self._forget_above = FORGET_ABOVE
        self.costs = MeanCosts()

    def __len__(self) -> int:
        return self._size

    def queues(self) -> list[str]:
        """Those in which something waits."""
        return [queue for queue, lane in self._lanes.items() if lane.size]

    def waiting(self, queue: str) -> int:
        """How many jobs of `queue` wait."""
        lane = self._lanes.get(queue)
        return lane.size if lane is not None else 0

    def waiting_by_site(self, queue: str) -> Mapping[str, int]:
        """How many jobs of `queue` wait, for each site that has some."""
        lane = self._lanes.get(queue)
        if lane is None or not lane.size:
            return {}
        return {site: len(backlog.items) for site, backlog in lane.waiting.items()}

    def add(self, queue: str, site: str, item: T) -> None:
        """One more waits."""
        lane = self._lanes.get(queue)
        if lane is None:
            lane = self._lanes[queue] = Lane()
        backlog = lane.waiting.get(site)
        if backlog is None:
            backlog = lane.waiting[site] = self._enter(queue, site)
            heappush(lane.heap, (backlog.account.used, next(self._ticks), backlog))
        backlog.items.append(item)
        backlog.account.waiting += 1
        lane.size += 1
        self._size += 1

    def next(self, open_to: Callable[[str], bool]) -> Turn[T] | None:
        """Take out the job whose turn it is, among the queues that are `open_to` more; None if there is none."""
        chosen: tuple[float, float, int] | None = None
        chosen_queue = ""
        for queue, lane in self._lanes.items():
            if lane.size and open_to(queue):
                used, tick, backlog = _head(lane)
                key = (used, backlog.share.used, tick)
                if chosen is None or key < chosen:
                    chosen, chosen_queue = key, queue
        return self._take(chosen_queue) if chosen is not None else None

    def out_of_turn(self, queue: str, site: str, item: T) -> Turn[T]:
        """A job that starts whoever's turn it is; all that it costs is charged at its end."""
        account = self._sites.of(site)
        return self._turn(queue, site, item, 0.0, account, account.queues.of(queue))

    def ended(self, turn: Turn[T], seconds: float) -> None:
        """The job has occupied a handler for `seconds`: charge what was not charged at its start."""
        cost = seconds if seconds > LEAST_COST else LEAST_COST
        self.costs.add(turn.queue, cost)
        turn.share.mean = moved(turn.share.mean, cost)
        self._charge(turn, cost - turn.charged)

    def charge_so_far(self, turn: Turn[T], seconds: float) -> None:
        """The job has occupied a handler for `seconds`, and still does: do not wait for its end to charge for them."""
        if seconds > turn.charged:
            self._sites.charge(turn.account, (seconds - turn.charged) / turn.site_weight)
            turn.account.queues.charge(turn.share, (seconds - turn.charged) / turn.queue_weight)
            turn.charged = seconds

    def refund(self, turn: Turn[T]) -> None:
        """The job did not run: charge nothing for it."""
        self._charge(turn, -turn.charged)

    def _turn(
        self, queue: str, site: str, item: T, charged: float, account: SiteAccount, share: QueueAccount
    ) -> Turn[T]:
        account.running += 1
        return Turn(queue, site, item, charged, account, share, self._site_weight(site), self._queue_weight(queue))

    def _charge(self, turn: Turn[T], seconds: float) -> None:
        account = turn.account
        account.running -= 1
        self._sites.charge(account, seconds / turn.site_weight)
        account.queues.charge(turn.share, seconds / turn.queue_weight)

    def clear(self) -> list[T]:
        """Take out everything that waits."""
        return self.withdraw(lambda queue, site: True)

    def drop(self, queue: str) -> list[T]:
        """Take out everything of `queue` that waits."""
        taken = self.withdraw(lambda each, site: each == queue)
        self._lanes.pop(queue, None)
        return taken

    def shrink(self, queue: str, keep: int) -> list[T]:
        """Take out all but `keep` of what waits in `queue`, evened out among sites: the last of each first."""
        lane = self._lanes.get(queue)
        if lane is None or lane.size <= keep:
            return []
        taken: list[T] = []
        # The fewest first, so that what one site leaves of its part goes to the others; of equals who has used more.
        backlogs = sorted(lane.waiting.values(), key=lambda backlog: (len(backlog.items), -backlog.account.used))
        for left, backlog in zip(range(len(backlogs), 0, -1), backlogs, strict=True):
            stay = min(len(backlog.items), keep // left)
            keep -= stay
            taken += self._take_out(lane, backlog, stay)
        lane.drop_empty()
        return taken

    def withdraw(self, unwanted: Callable[[str, str], bool]) -> list[T]:
        """Take out all that waits of the queues and sites that are `unwanted`: the last of each first."""
        taken: list[T] = []
        for queue, lane in self._lanes.items():
            found = [backlog for backlog in lane.waiting.values() if unwanted(queue, backlog.site)]
            for backlog in found:
                taken += self._take_out(lane, backlog, 0)
            if found:
                lane.drop_empty()
        return taken

    def shares(self) -> Iterator[tuple[str, str, Sequence[T]]]:
        """What waits: queue, site, and the jobs in their order."""
        for queue, lane in self._lanes.items():
            for site, backlog in lane.waiting.items():
                yield queue, site, backlog.items

    def _take_out(self, lane: Lane[T], backlog: SiteBacklog[T], stay: int) -> list[T]:
        number = len(backlog.items) - stay
        backlog.account.waiting -= number
        lane.size -= number
        self._size -= number
        return [backlog.items.pop() for _ in range(number)]

    def _enter(self, queue: str, site: str) -> SiteBacklog[T]:
        sites = self._sites
        if not self._size:
            sites.rest()
        if len(sites.accounts) > self._forget_above:
            sites.forget(lambda account: account.waiting > 0 or account.running > 0)
            self._forget_above = max(FORGET_ABOVE, 2 * len(sites.accounts))
        account = sites.of(site)
        if not account.waiting:
            sites.enter(account)
        share = account.queues.of(queue)
        account.queues.enter(share)
        return SiteBacklog(site, account, share)

    def _take(self, queue: str) -> Turn[T]:
        lane = self._lanes[queue]
        backlog = heappop(lane.heap)[2]
        site, account = backlog.site, backlog.account
        item = backlog.items.popleft()
        account.waiting -= 1
        lane.size -= 1
        self._size -= 1
        share = backlog.share
        charged = share.mean or self.costs.expected(queue) or LEAST_COST
        turn = self._turn(queue, site, item, charged, account, share)
        self._sites.serve(account, charged / turn.site_weight)
        account.queues.serve(share, charged / turn.queue_weight)
        if backlog.items:
            heappush(lane.heap, (account.used, next(self._ticks), backlog))
        else:
            del lane.waiting[site]
        return turn


def _head(lane: Lane[T]) -> tuple[float, int, SiteBacklog[T]]:
    while True:
        at, tick, backlog = head = lane.heap[0]
        now = backlog.account.used
        if now == at:
            return head
        heapreplace(lane.heap, (now, tick, backlog))
