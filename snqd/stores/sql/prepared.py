"""Prepared: one statement of PostgreSQL's whose answer the reactor waits for, so that no thread has to be woken."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

NAME = "snqd_prepared"


@implementer(IReadDescriptor)
class Prepared:
    """Puts the statement to a connection that nothing else uses until the answer is there, outside any transaction.

    :param types: of its parameters ``$1``, ``$2`` ...
    """

    def __init__(self, reactor: Any, statement: str, types: Sequence[str]) -> None:
        self._reactor = reactor
        self._definition = f"PREPARE {NAME} ({', '.join(types)}) AS {statement}"
        self._connection: Any = None
        self._fd = -1
        self._answered: Deferred[list[Any]] | None = None

    def prepare(self, connection: Connection) -> None:
        """Make a new connection know the statement; blocking. Fails as SQLAlchemy does."""
        connection.exec_driver_sql(self._definition)

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
            words = [argument.encode() for argument in arguments]
            self._connection.pgconn.send_query_prepared(NAME.encode(), words)
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
        wire = self._connection.pgconn
        try:
            wire.consume_input()
            if wire.is_busy():
                return
            rows = self._rows(wire.get_result())
            while wire.get_result() is not None:
                continue
        except Exception:  # noqa: BLE001 - whatever it is goes to the one who asked
            self._answer(Failure())
        else:
            self._answer(rows)

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it gives up on the socket."""
        self._answer(reason)

    def _rows(self, result: Any) -> list[Any]:
        from psycopg import OperationalError
        from psycopg.adapt import Transformer
        from psycopg.pq import ExecStatus

        if result is None or result.status != ExecStatus.TUPLES_OK:
            raise OperationalError("no answer" if result is None else result.get_error_message())
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _answer(self, answer: Any) -> None:
        self._reactor.removeReader(self)
        os.close(self._fd)
        self._connection, self._fd = None, -1
        answered, self._answered = self._answered, None
        assert answered is not None
        answered.callback(answer)  # a Failure starts the errbacks
