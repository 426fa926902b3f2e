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
FORGET_ABOVE = 16_384
"""Sites of which something is remembered: ten thousand busy ones must not be forgotten and learned again each time."""
_MEMORY = 0.1
"""How much of a mean the latest job makes."""

T = TypeVar("T")


class Account:
    """How many weighted seconds somebody has used."""

    __slots__ = ("used",)

    def __init__(self, used: float) -> None:
        self.used = used


class QueueAccount(Account):
    """A queue's, among those of one site.

    :ivar mean: seconds that the site's jobs of this queue took lately; None before the first has ended.
    """

    __slots__ = ("mean",)

    def __init__(self, used: float) -> None:
        super().__init__(used)
        self.mean: float | None = None


class SiteAccount(Account):
    """A site's.

    :ivar waiting: how many of its jobs wait, in all queues.
    :ivar running: how many of them run, and are not paid for yet.
    :ivar queues: how its queues share.
    """

    __slots__ = ("queues", "running", "waiting")

    def __init__(self, used: float) -> None:
        super().__init__(used)
        self.waiting = 0
        self.running = 0
        self.queues = Usage(QueueAccount)


A = TypeVar("A", bound=Account)


class Usage(Generic[A]):
    """The accounts of those who share, and where those that are being served stand.

    :param make: a new account that has used so much.
    """

    __slots__ = ("_make", "_top", "accounts", "floor")

    def __init__(self, make: Callable[[float], A]) -> None:
        self._make = make
        self.accounts: dict[str, A] = {}
        self.floor = 0.0
        self._top = 0.0

    def of(self, name: str) -> A:
        """The account of `name`; who has none starts level with those being served."""
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = self._make(self.floor)
        return account

    def enter(self, account: A) -> None:
        """Its owner wants to be served again."""
        if account.used < self.floor:
            account.used = self.floor

    def serve(self, account: A, cost: float) -> None:
        """Its owner is served, at `cost` weighted seconds."""
        used = account.used
        if used > self.floor:  # max() would cost five times as much, several times a job
            self.floor = used
        account.used = used = used + cost
        if used > self._top:
            self._top = used

    def charge(self, account: A, cost: float) -> None:
        """Correct what its owner has used by `cost` weighted seconds."""
        used = account.used + cost
        if used < 0.0:
            used = 0.0
        account.used = used
        if used > self._top:
            self._top = used

    def rest(self) -> None:
        """Nobody wants to be served: whoever comes next starts level with all others."""
        self.floor = self._top

    def forget(self, but: Callable[[A], bool]) -> None:
        """Drop those who would enter at the floor anyway, `but` some."""
        kept = {name: each for name, each in self.accounts.items() if each.used > self.floor or but(each)}
        self.accounts = kept


class MeanCosts:
    """What jobs of a queue took lately, all sites' together, in seconds."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def expected(self, queue: str) -> float | None:
        """What the next one will cost; None before the first has ended."""
        return self._means.get(queue)

    def add(self, queue: str, cost: float) -> None:
        """One more job has ended."""
        self._means[queue] = _mean(self._means.get(queue), cost)


def _mean(before: float | None, cost: float) -> float:
    return cost if before is None else before + (cost - before) * _MEMORY


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

    def items(self) -> list[T]:
        """All of it."""
        return [item for backlog in self.waiting.values() for item in backlog.items]


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
        turn.share.mean = _mean(turn.share.mean, cost)
        self._charge(turn, cost - turn.charged)

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
        return [item for queue in list(self._lanes) for item in self.drop(queue)]

    def drop(self, queue: str) -> list[T]:
        """Take out everything of `queue` that waits."""
        lane = self._lanes.pop(queue, None)
        if lane is None:
            return []
        for backlog in lane.waiting.values():
            backlog.account.waiting -= len(backlog.items)
        self._size -= lane.size
        return lane.items()

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
