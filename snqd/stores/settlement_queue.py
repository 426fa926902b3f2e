"""SettlementQueue: gathers the outcomes of handlers into one settlement a transaction, and never gives one up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.backoff import Backoff
from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.stores.group_commit import Operation
from snqd.stores.interface import Receipt
from snqd.stores.settlement import Settlement

A = TypeVar("A")


@attrs.frozen(eq=False)
class _PendingWrite:
    """A settlement that a handler's outcome asks for, and who waits for it."""

    receipt: Receipt
    write_in: Callable[[Settlement], Any]
    done: Deferred[Any]


class SettlementQueue(Generic[A]):
    """Gathers settlements; one that the store refuses is tried again for ever, with what comes meanwhile.

    :param name: of the store, for messages.
    :param settle: carries a settlement out, inside a transaction; returns the receipts that were good, and more for
        `settled`.
    :param settled: called with every settlement that was carried out, and what `settle` had more to say.
    :param flush_soon: called when there is something to carry out.
    :ivar trouble: why settlements wait, None while they do not.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        random: Random,
        name: str,
        settle: Callable[[Any, Settlement], tuple[set[Receipt], A]],
        settled: Callable[[Settlement, A], Any],
        flush_soon: Callable[[], Any],
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._settle = settle
        self._settled = settled
        self._flush_soon = flush_soon
        self._asked: list[_PendingWrite] = []
        self._single: list[Operation[Any, Any]] = []
        self._receipts: set[Receipt] = set()
        self._backoff = Backoff(0.5, 15.0, random)
        self._again: Any = None
        self._closing = False
        self.trouble: str | None = None

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job]) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        return self._ask(receipt, lambda settlement: settlement.acks.append((receipt, follow_ups)))

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        return self._ask(receipt, lambda settlement: settlement.retries.append((receipt, delay, reason, attempted)))

    def give_back(self, receipt: Receipt) -> Deferred[bool]:
        """One job of :meth:`IStore.give_back`."""
        return self._ask(receipt, lambda settlement: settlement.given_back.append(receipt))

    def close(self) -> None:
        """From now on what the store refuses fails at once."""
        self._closing = True
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def gather(self) -> list[Operation[Any, Any]]:
        """What there is to carry out now."""
        operations, self._single = self._single, []
        if self._asked and self._again is None:
            batch, self._asked = self._asked, []
            operations.append(self._operation(batch))
        return operations

    def _ask(self, receipt: Receipt, write_in: Callable[[Settlement], Any]) -> Deferred[bool]:
        if receipt in self._receipts:
            return succeed(False)  # a receipt is stale once it was used
        self._receipts.add(receipt)
        asked = _PendingWrite(receipt, write_in, Deferred())
        self._asked.append(asked)
        if self._again is None:
            self._flush_soon()
        return asked.done

    def _operation(self, batch: list[_PendingWrite]) -> Operation[Any, Any]:
        settlement = Settlement()
        for asked in batch:
            asked.write_in(settlement)
        done: Deferred[Any] = Deferred()
        done.addCallbacks(self._carried_out, self._refused, (batch, settlement), {}, (batch,))
        return Operation(lambda connection: self._settle(connection, settlement), done)

    def _carried_out(self, result: tuple[set[Receipt], A], batch: list[_PendingWrite], settlement: Settlement) -> None:
        good, more = result
        if self._backoff.failures:
            self.log.info("{name} takes settlements again", name=self._name)
            self._backoff.succeeded()
            self.trouble = None
        self._answer(batch, lambda asked: asked.receipt in good)
        self._settled(settlement, more)

    def _refused(self, failure: Failure, batch: list[_PendingWrite]) -> None:
        """Keep what could not be written, and write it later with what comes meanwhile; but let no settlement that can
        never be written (by a follow-up job that the store refuses) hold up the others."""
        if failure.check(StoreUnavailable) is not None and not self._closing:
            self._settle_later(failure, batch)
        elif failure.check(StoreUnavailable) is None and len(batch) > 1:
            self._single += [self._operation([asked]) for asked in batch]
            self._flush_soon()
        else:
            self._answer(batch, lambda asked: failure)

    def _settle_later(self, failure: Failure, batch: list[_PendingWrite]) -> None:
        if not self._backoff.failures:
            self.log.error("settlements wait, and nothing new is taken: {error}", error=failure.value)
        self.trouble = str(failure.value)
        self._asked = batch + self._asked
        if self._again is None:
            self._again = self._reactor.callLater(self._backoff.failed(), self._try_again)

    def _answer(self, batch: list[_PendingWrite], answer: Callable[[_PendingWrite], bool | Failure]) -> None:
        self._receipts.difference_update([asked.receipt for asked in batch])
        for asked in batch:
            asked.done.callback(answer(asked))

    def _try_again(self) -> None:
        self._again = None
        self._flush_soon()
