"""Inbox: what the broker has sent to this process: what waits for a claim, and what is in a queue manager's hands."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import count

from snqd.core.job import Job
from snqd.stores.interface import Claimed, Pauses, Receipt, Want
from snqd.stores.share_out import share_out
from snqd.stores.stomp.consumer import Arrival


class Inbox:
    """Arrivals by queue and site, each site's in their order."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, deque[Arrival]]] = {}
        self._in_hand: dict[int, Arrival] = {}
        self._keys = count(1)
        self._cursors: dict[str, str] = {}
        self._away: dict[tuple[str, str], set[str]] = {}

    def add(self, arrival: Arrival) -> None:
        """One more waits; a job that others of its site wait for comes before them."""
        job = arrival.job
        shares = self._waiting.setdefault(job.queue, {})
        share = shares.get(job.site)
        if share is None:
            share = shares[job.site] = deque()
        if self._is_back(job):
            share.appendleft(arrival)
        else:
            share.append(arrival)

    def take(self, queue: str, want: Want, pauses: Pauses) -> list[Claimed]:
        """Hand out what is wanted, in turn among sites."""
        shares = self._waiting.get(queue)
        if not shares or want.room <= 0:
            return []
        after = self._cursors.get(queue, "")
        in_turn = [*sorted(site for site in shares if site > after), *sorted(site for site in shares if site <= after)]
        busy = self._busy(queue) if want.ordered else set()
        room = 1 if want.ordered else want.room
        offers = [
            (site, list(range(min(room, len(shares[site])))))
            for site in in_turn
            if site not in busy and not pauses.covers(queue, site)
        ]
        taken = share_out(want.room, offers, want.held)
        if taken:
            self._cursors[queue] = [site for site, _ in offers if site in taken][-1]
        return [self.hand_out(self._next(queue, site)) for site, places in taken.items() for _ in places]

    def hand_out(self, arrival: Arrival) -> Claimed:
        """Give an arrival that does not wait here into the manager's hands."""
        key = next(self._keys)
        self._in_hand[key] = arrival
        return Claimed(arrival.job, Receipt(key, arrival.epoch), arrival.source.consumer.tenure)

    def held(self, receipt: Receipt) -> Arrival | None:
        """The arrival that `receipt` settles, None if the receipt is stale."""
        arrival = self._in_hand.get(receipt.key)
        return arrival if arrival is not None and arrival.epoch == receipt.epoch else None

    def release(self, receipt: Receipt) -> Arrival:
        """Take an arrival out of the manager's hands, whose settlement is under way."""
        return self._in_hand.pop(receipt.key)

    def put_back(self, arrival: Arrival) -> None:
        """Let it wait again, before the others of its site."""
        self._waiting.setdefault(arrival.job.queue, {}).setdefault(arrival.job.site, deque()).appendleft(arrival)

    def went_away(self, job: Job) -> None:
        """A job was sent off and will come back: where order is promised, later ones of its site wait for it."""
        self._away.setdefault((job.queue, job.site), set()).add(job.id)

    def withdraw(self, unwanted: Callable[[Arrival], bool]) -> list[Arrival]:
        """Take out what waits and is `unwanted`."""
        out = [arrival for arrival in self.waiting() if unwanted(arrival)]
        gone = set(map(id, out))
        for queue, shares in self._waiting.items():
            kept = {site: deque(each for each in share if id(each) not in gone) for site, share in shares.items()}
            self._waiting[queue] = {site: share for site, share in kept.items() if share}
        return out

    def drop(self, epoch: int) -> int:
        """Forget what a lost connection has brought; returns how much of it was in hand."""
        self.withdraw(lambda arrival: arrival.epoch == epoch)
        stale = [key for key, arrival in self._in_hand.items() if arrival.epoch == epoch]
        for key in stale:
            del self._in_hand[key]
        return len(stale)

    def waiting(self) -> Iterator[Arrival]:
        """What waits."""
        return (arrival for shares in self._waiting.values() for share in shares.values() for arrival in share)

    def waiting_of(self, site: str) -> int:
        """How many jobs of `site` wait."""
        return sum(len(shares[site]) for shares in self._waiting.values() if site in shares)

    def in_hand(self) -> int:
        """How many are in the manager's hands."""
        return len(self._in_hand)

    def jobs_in_hand(self) -> list[Job]:
        """Those that are."""
        return [arrival.job for arrival in self._in_hand.values()]

    def has_in_hand_alone(self) -> bool:
        """Whether a suspect is in the manager's hands."""
        return any(arrival.source.alone for arrival in self._in_hand.values())

    def shares_in_hand(self) -> Counter[tuple[str, str]]:
        """How many are in the manager's hands, by queue and site."""
        return Counter((arrival.job.queue, arrival.job.site) for arrival in self._in_hand.values())

    def _next(self, queue: str, site: str) -> Arrival:
        shares = self._waiting[queue]
        arrival = shares[site].popleft()
        if not shares[site]:
            del shares[site]
        return arrival

    def _busy(self, queue: str) -> set[str]:
        in_hand = {arrival.job.site for arrival in self._in_hand.values() if arrival.job.queue == queue}
        return in_hand | {site for of_queue, site in self._away if of_queue == queue}

    def _is_back(self, job: Job) -> bool:
        away = self._away.get((job.queue, job.site))
        if away is None or job.id not in away:
            return False
        away.discard(job.id)
        if not away:
            del self._away[job.queue, job.site]
        return True
