"""PreparedStatement: a statement put to the connection of PostgreSQL's driver itself, where each tenth of a millisecond
counts; the reactor waits for its answer, so that no thread has to be woken, or a program without one does."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

NAME = "snqd_prepared"


class NotDone(Exception):
    """The server has not carried it out."""


@implementer(IReadDescriptor)
class PreparedStatement:
    """Puts the statement to a connection that nothing else uses until the answer is there, outside any transaction.

    :param reactor: for `ask`; `ask_and_wait` needs none.
    :param types: of its parameters ``$1``, ``$2`` ...
    """

    def __init__(self, reactor: Any, statement: str, types: Sequence[str]) -> None:
        self._reactor = reactor
        self._definition = f"PREPARE {NAME} ({', '.join(types)}) AS {statement}"
        self._connection: Any = None
        self._transformer: Any = None
        self._fd = -1
        self._results: list[Any] = []
        self._answered: Deferred[list[Any]] | None = None

    def prepare(self, connection: Connection) -> None:
        """Make a new connection know the statement; blocking. Fails as SQLAlchemy does."""
        connection.exec_driver_sql(self._definition)

    def ask_and_wait(self, connection: Connection, arguments: Sequence[str | None]) -> list[Any]:
        """Carry it out, blocking; returns the rows. If it raises the connection is of no more use.

        :param arguments: as PostgreSQL writes them, less than 8 KiB in all: so much a socket takes at once.
        :raises NotDone: if the server did not carry it out.
        :raises psycopg.Error: if it may have.
        """
        self._connection = connection.connection.driver_connection
        self._results = []
        self._send(arguments)
        heard = select.poll()
        heard.register(self._connection.fileno(), select.POLLIN)
        while not self._received():
            heard.poll()
        return self._rows(self._results)

    def ask(self, connection: Connection, arguments: Sequence[str]) -> Deferred[list[Any]]:
        """Carry it out; fires with the rows, fails with the driver's error, and then the connection is of no more use.

        :param arguments: as PostgreSQL writes them.
        """
        answered = self._answered = Deferred()
        self._connection = connection.connection.driver_connection
        # A descriptor of our own: the driver closes its one by itself, and the reactor would still hold it.
        self._fd = os.dup(self._connection.fileno())
        self._reactor.addReader(self)
        try:
            self._send(arguments)
        except Exception:  # noqa: BLE001 - whatever it is goes to the one who asked
            self._answer(Failure())
        return answered

    def fileno(self) -> int:
        """The connection's socket, -1 while nothing is asked."""
        return self._fd

    def logPrefix(self) -> str:
        """The statement's name in the reactor's own messages."""
        return "a claim under way"

    def doRead(self) -> None:
        """Called by the reactor when the server has sent something."""
        try:
            if self._received():
                self._answer(self._rows(self._results))
        except Exception:  # noqa: BLE001 - whatever it is goes to the one who asked
            self._answer(Failure())

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it gives up on the socket."""
        self._answer(reason)

    def _send(self, arguments: Sequence[str | None]) -> None:
        words = [None if argument is None else argument.encode() for argument in arguments]
        self._connection.pgconn.send_query_prepared(NAME.encode(), words)

    def _received(self) -> bool:
        """Take in what has come; True once that is all."""
        wire = self._connection.pgconn
        wire.consume_input()
        while not wire.is_busy():
            result = wire.get_result()
            if result is None:
                return True
            self._results.append(result)
        return False

    def _rows(self, results: list[Any]) -> list[Any]:
        """The rows come before the commit: they count only if no error follows, and the server is ready again."""
        from psycopg.pq import ExecStatus, TransactionStatus

        ready = self._connection.pgconn.transaction_status == TransactionStatus.IDLE
        if not ready or [result.status for result in results] != [ExecStatus.TUPLES_OK]:
            raise self._error(results, ready)
        (result,) = results
        transformer = self._reading()
        transformer.set_pgresult(result)
        return cast(list[Any], transformer.load_rows(0, result.ntuples, tuple))

    def _error(self, results: list[Any], ready: bool) -> Exception:
        from psycopg import OperationalError

        told = results[-1].get_error_message() if results else "no answer"
        return NotDone(told) if ready and results else OperationalError(told)

    def _reading(self) -> Any:
        """What reads the connection's values: to look up how it does takes longer than to read a row."""
        from psycopg.adapt import Transformer

        if self._transformer is None or self._transformer.connection is not self._connection:
            self._transformer = Transformer(self._connection)
        return self._transformer

    def _answer(self, answer: Any) -> None:
        self._reactor.removeReader(self)
        os.close(self._fd)
        self._connection, self._fd, self._results = None, -1, []
        answered, self._answered = self._answered, None
        assert answered is not None
        answered.callback(answer)  # a Failure starts the errbacks
