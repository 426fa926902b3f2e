"""The Store: what holds the jobs, behind one interface that tests/contract states clause by clause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs
from zope.interface import Attribute, Interface

from snqd.core.job import Job
from snqd.core.tenure import ENDLESS, Tenure

if TYPE_CHECKING:  # programs that only enqueue do without Twisted
    from twisted.internet.defer import Deferred


@attrs.define(unsafe_hash=True)
class Receipt:
    """What a store hands out with a job and wants back to settle it; not frozen for its speed, but nobody changes one.

    :ivar key: the store's own name for the job.
    :ivar epoch: the claim's owner or connection; a receipt of an earlier one settles nothing.
    """

    key: int
    epoch: int


@attrs.define
class Claimed:
    """A job in this process's hands; not frozen for its speed, but nobody changes one.

    :ivar tenure: until when it is this process's to begin.
    """

    job: Job
    receipt: Receipt
    tenure: Tenure = attrs.field(default=ENDLESS, eq=False, repr=False)


@attrs.frozen
class Want:
    """How many more jobs of one queue a child can take.

    :ivar room: at most so many.
    :ivar held: how many it already holds and has not started, by site, so that the claim evens them out.
    :ivar ordered: claim a site's next job only when none of that site and queue is in hand anywhere, or waits for
        its retry.
    :ivar full: whether no further job of the queue can start before one ends: what is claimed now will wait here.
    :ivar burst: how many jobs a site may be given before the next one's turn, where that saves the store work.
    """

    room: int
    held: Mapping[str, int] = attrs.field(factory=dict)
    ordered: bool = False
    full: bool = False
    burst: int = 1


@attrs.frozen
class Claim:
    """What a claim brought.

    :ivar jobs: in turn among sites.
    :ivar next_due: seconds from now until the next delayed job is due, None if none waits.
    :ivar suspects: the queues in which suspects wait to run alone, none of which is in hand.
    """

    jobs: list[Claimed]
    next_due: float | None = None
    suspects: frozenset[str] = frozenset()


@attrs.frozen
class Depth:
    """What waits in one queue of one site; `oldest_age` is seconds since the oldest waiting job's `created`."""

    queue: str
    site: str
    waiting: int
    delayed: int
    in_flight: int
    oldest_age: float | None


@attrs.frozen
class Pauses:
    """What is paused: whole queues, whole sites, and single sites' shares of a queue as (queue, site)."""

    queues: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    shares: frozenset[tuple[str, str]] = frozenset()

    def covers(self, queue: str, site: str) -> bool:
        """Whether jobs of `queue` and `site` are not to be taken."""
        return queue in self.queues or site in self.sites or (queue, site) in self.shares


class Promise(Enum):
    """A promise that some store cannot keep; the value is a sentence for the manual.

    Every store keeps the rest of the contract.
    """

    DURABLE = "Accepted jobs outlive the process."
    FAIR_CLAIMS = "A quiet site's job is in the next claim, however many jobs another site has."
    COMPLETE_CLAIMS = "A claim sees every job that is ready: if it brings none, none was ready."
    NEXT_DUE = "A claim tells when the next delayed job is due."
    DEPTHS = "The store tells how many jobs wait, and how long the oldest has waited."
    WAKES_ALL = "A new job wakes every process that could take it."
    KEEPS_PLACE = "A job that is given back keeps its place among its site's jobs."
    KNOWS_HOLDERS = "The store knows which process holds a job, so it recovers no other process's jobs."
    ORDER_ACROSS_PROCESSES = "An ordered queue keeps each site's order, even if several processes serve it."
    ONE_SUSPECT = "One suspect of a queue runs at a time, even if several processes ask for one."


@attrs.frozen
class Promises:
    """A store's declaration: it keeps each :class:`Promise` that it does not list as lacking.

    :ivar lacking: the promises that it cannot keep, each with the reason.
    """

    lacking: Mapping[Promise, str] = attrs.field(factory=dict)

    def __contains__(self, promise: Promise) -> bool:
        return promise not in self.lacking


class IJobs(Interface):
    """Takes jobs in, hands them out, and hears what became of them."""

    def enqueue(jobs: Sequence[Job]) -> Deferred[None]:
        """Accept `jobs`, all or none (a broker takes them one by one); fires when they are durable.

        Fails with :class:`~snqd.core.errors.Unconfirmed` where they were sent and no answer came."""

    def claim(wants: Mapping[str, Want]) -> Deferred[Claim]:
        """Take jobs of the wanted queues, by queue name, fairly among sites."""

    def claim_solo(queues: Collection[str]) -> Deferred[Claim]:
        """Take one suspect of `queues`, unless one is in hand anywhere."""

    def renew() -> Deferred[None]:
        """Ask whether what is claimed is still this process's, since a tenure has run out; fires, however late, when
        the tenures tell it. Fails never."""

    def ack(receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """Remove the job once its follow-ups are durable; fires when that is so, with False if the receipt is stale
        (then the follow-ups are dropped)."""

    def retry(receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """Let the job run again, as its next attempt, in `delay` seconds; fires when durable, False if stale.

        `attempted` False: no handler saw it (its site is not configured), so that it stays the same attempt."""

    def give_back(receipts: Collection[Receipt]) -> Deferred[None]:
        """Free jobs that were not run, or not to their end for no fault of theirs: the attempt does not count."""


class ISteering(Interface):
    """Lets an operator see and hold what waits."""

    def pause(queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """Stop, or go on, handing out jobs of a queue, of a site (`queue` None), or of one site's share of a queue.
        Survives restarts."""

    def pauses() -> Deferred[Pauses]:
        """What is paused."""

    def depths() -> Deferred[list[Depth]] | Deferred[None]:
        """What waits, by queue and site; None where the store can't tell."""


class ILifeCycle(Interface):
    """Comes and goes with its process, and frees what a dead process held."""

    promises = Attribute("The store's :class:`Promises`; the contract suite checks the declaration.")
    trouble = Attribute("Why it does not take part now, as it was last seen, in a few words; None while all is well.")

    def open(wake: Callable[[], Any]) -> Deferred[None]:
        """Connect; `wake` is called, in the reactor's thread, whenever there may be something new to claim."""

    def close() -> Deferred[None]:
        """Finish what is under way, give back what is claimed, disconnect."""

    def recover(owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """Free what the dead process `owner` had claimed: the jobs whose ids are `suspects` go solo with one more
        attempt and `cause` as their reason, the others as they were. Fires with the number freed; doing it twice is
        harmless."""


class IStore(IJobs, ISteering, ILifeCycle):
    """Holds jobs; a Deferred fails with a :class:`~snqd.core.errors.StoreError` where the store does not take part."""
