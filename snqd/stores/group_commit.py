"""Group commit by a writer thread: one transaction at a time, with everything in it that was asked for meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from snqd.core.errors import StoreCorrupt, StoreUnavailable

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
T = TypeVar("T")


class ConnectionLost(StoreUnavailable):
    """The connection to the store was lost."""


class Transactions(Protocol[C_co]):
    """What holds the data; `C_co` is the connection that an action works on."""

    @property
    def name(self) -> str:
        """For people."""

    def run(self, actions: Sequence[Callable[[C_co], Any]], durable: bool) -> list[Any]:
        """Do `actions` in one transaction; their results. None of them counts if one raises.

        :param durable: whether the transaction must be on disk at return.
        """

    def close(self) -> None:
        """Disconnect."""


@attrs.frozen
class Operation(Generic[C, T]):
    """Something to do inside a transaction, and who waits for it.

    :ivar durable: False where it does no harm if a crash of the machine undoes it.
    """

    action: Callable[[C], T]
    done: Deferred[T]
    durable: bool = True


class Writer(Generic[C]):
    """Runs operations in transactions, in a thread of its own.

    An operation may run more than once: after one that failed, each of its transaction is done again
    alone, unless the connection was lost.

    :param gather: called before each transaction: what is to be done in it.
    :param start: does an action that is alone without the thread, if it can: fires with its answer, or with None where
        a transaction is needed after all; itself None where it can't.
    :ivar trouble: why the store took nothing of the last batch, None where it did.
    """

    def __init__(
        self,
        reactor: Any,
        transactions: Transactions[C],
        gather: Callable[[], list[Operation[C, Any]]],
        start: Callable[[Callable[[C], Any]], Deferred[Any] | None] = lambda action: None,
    ) -> None:
        self._reactor = reactor
        self._transactions = transactions
        self._gather = gather
        self._start = start
        self._batches: SimpleQueue[list[Operation[C, Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._scheduled = False
        self._busy = False
        self._closed: Deferred[None] | None = None
        self.trouble: str | None = None

    def open(self) -> Deferred[None]:
        """Start the thread and connect; fires when that is done."""
        self._thread = Thread(target=self._run, name=f"writer of {self._transactions.name}", daemon=True)
        self._thread.start()
        done: Deferred[None] = Deferred()
        self._submit([Operation(lambda connection: None, done)])
        return done

    def close(self) -> Deferred[None]:
        """Write what was asked for, disconnect and end the thread."""
        self._closed = Deferred()
        if not self._busy:
            self._flush()
        return self._closed

    def flush_soon(self) -> None:
        """Write at the end of this reactor turn, or right after the transaction under way."""
        if not (self._busy or self._scheduled):
            self._scheduled = True
            self._reactor.callLater(0, self._flush)

    def write_now(self) -> None:
        """Write what is alone at once; what others may come to in this reactor turn waits for its end."""
        if not (self._busy or self._scheduled):
            self._flush()

    def _flush(self) -> None:
        self._scheduled = False
        operations = self._gather()
        if operations:
            self._submit(operations)
        elif self._closed is not None:
            self._busy = True
            self._batches.put(None)

    def _submit(self, operations: list[Operation[C, Any]]) -> None:
        self._busy = True
        started = self._start(operations[0].action) if len(operations) == 1 else None
        if started is None:
            self._batches.put(operations)
        else:
            started.addBoth(self._started, operations)

    def _started(self, answer: Any, operations: list[Operation[C, Any]]) -> None:
        if answer is None:
            self._batches.put(operations)
        else:
            self._deliver(operations, [answer])

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            answers = self._write(batch)
            self._reactor.callFromThread(self._deliver, batch, answers)
        self._transactions.close()
        self._reactor.callFromThread(self._finished)

    def _write(self, batch: list[Operation[C, Any]]) -> list[Any]:
        try:
            durable = any(operation.durable for operation in batch)
            return self._transactions.run([operation.action for operation in batch], durable)
        except Exception as error:  # noqa: BLE001 - whatever it is goes to the one who asked
            if len(batch) == 1 or isinstance(error, ConnectionLost):
                return [Failure()] * len(batch)
        return [answer for operation in batch for answer in self._write([operation])]

    def _deliver(self, batch: list[Operation[C, Any]], answers: list[Any]) -> None:
        self.trouble = _trouble_of(answers)
        for operation, answer in zip(batch, answers, strict=True):
            operation.done.callback(answer)  # a Failure starts the errbacks
        self._busy = False
        self._flush()

    def _finished(self) -> None:
        assert self._closed is not None
        self._closed.callback(None)


def _trouble_of(answers: Sequence[Any]) -> str | None:
    if all(isinstance(answer, Failure) and answer.check(StoreUnavailable, StoreCorrupt) for answer in answers):
        return str(answers[0].value)
    return None
