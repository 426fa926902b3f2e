"""What processes tell the store of their jobs, as a numbered call takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from snqd.core.errors import StoreError, Unconfirmed
from snqd.stores.interface import Receipt
from snqd.stores.redis.codec import json_array


@attrs.frozen(eq=False)
class PendingSettlement:
    """What is to become of one job in hand, and who waits for it.

    :ivar what: for the script, as JSON.
    :ivar heads: of the follow-up jobs.
    :ivar news: whether there may be something to claim then.
    """

    receipt: Receipt
    what: str
    heads: Sequence[str] = ()
    records: Sequence[bytes] = ()
    news: bool = False
    done: Deferred[bool] = attrs.field(factory=Deferred)

    @property
    def size_bytes(self) -> int:
        """How much of a call it takes."""
        return len(self.what) + sum(map(len, self.records))


@attrs.define(eq=False)
class Accepting:
    """Jobs to be accepted, all or none, and who waits for it.

    :ivar ids: the jobs'.
    :ivar unanswered: how many calls with them were sent and have no answer.
    """

    ids: list[str]
    heads: list[str]
    records: list[bytes]
    done: Deferred[None]
    unanswered: int = 0

    @property
    def size_bytes(self) -> int:
        """How much of a call they take."""
        return sum(map(len, self.records)) + sum(map(len, self.heads))

    def failure(self, error: StoreError) -> StoreError:
        """What whoever waits is told when `error` is the end of it."""
        return Unconfirmed(str(error), (), self.ids) if self.unanswered else error


def ack(receipt: Receipt, heads: Sequence[str], records: Sequence[bytes]) -> PendingSettlement:
    """The job is done; its follow-ups come into the queue."""
    what = f'[{receipt.key},{receipt.epoch},"a",{len(heads)}]'
    return PendingSettlement(receipt, what, heads, records, bool(heads))


def retry(receipt: Receipt, delay: float, reason: str, attempted: bool) -> PendingSettlement:
    """The job runs again in `delay` seconds, as its next attempt if it was attempted."""
    what = json.dumps([receipt.key, receipt.epoch, "r", delay, json.dumps(reason), int(attempted)])
    return PendingSettlement(receipt, what, news=True)


def give_back(receipt: Receipt) -> PendingSettlement:
    """The job was not run."""
    return PendingSettlement(receipt, f'[{receipt.key},{receipt.epoch},"g"]', news=True)


def settle_words(batch: Sequence[PendingSettlement]) -> list[Any]:
    """The arguments of the script `settle` behind the call's number."""
    heads = json_array(head for each in batch for head in each.heads)
    return [json_array(each.what for each in batch), heads, b"".join(part for each in batch for part in each.records)]


def enqueue_words(batch: Sequence[Accepting]) -> list[Any]:
    """The arguments of the script `enqueue` behind the call's number."""
    heads = json_array(head for each in batch for head in each.heads)
    return [heads, b"".join(part for each in batch for part in each.records)]


def count_unanswered(batch: Sequence[Accepting], calls: int) -> None:
    """So many more calls with these jobs have no answer."""
    for each in batch:
        each.unanswered += calls
