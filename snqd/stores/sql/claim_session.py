"""ClaimSession: the transactions of one process that claims jobs, each signed, so that no outcome stays in doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from threading import Event
from typing import Any, Generic, TypeVar

import attrs
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.backoff import Backoff
from snqd.core.errors import StoreUnavailable
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.dialects import CommitLost
from snqd.stores.sql.postgresql import let_go
from snqd.stores.sql.prepared import PreparedStatement
from snqd.stores.sql.server import patiently

T = TypeVar("T")


@attrs.frozen
class OneStatementClaim(Generic[T]):
    """An action that can do without a transaction around it, if it is alone.

    :ivar arguments: for the statement that signs itself and does it at once, behind the signature's.
    :ivar read: makes the answer of that statement's rows; None where it was not enough, and took nothing.
    """

    action: Callable[[Connection], T]
    arguments: Sequence[str]
    read: Callable[[list[Any]], T | None]

    def __call__(self, connection: Connection) -> T:
        """Do it in a transaction."""
        return self.action(connection)


class ClaimSession:
    """Runs transactions on one connection, for one thread; made again when it was lost.

    Each transaction writes its number into the owner's row. That locks the row, so that nobody gives the owner up
    meanwhile; it is the owner's sign of life; and where a connection is lost during COMMIT, it tells afterwards whether
    the transaction took place.

    :param at_once: the statement for what is :class:`OneStatementClaim`; None where the server has none.
    :ivar number: under which jobs are claimed; 0 before registration.
    :ivar known: whether the store knew the owner at the beginning of the transaction under way.
    """

    log = Logger()

    def __init__(self, database: SqlDatabase, random: Random, at_once: PreparedStatement | None = None) -> None:
        self.number = 0
        self.known = False
        self.name = database.server.name
        self._database = database
        self._server = database.server
        self._random = random
        self._at_once = at_once
        self._connection: Connection | None = None
        self._last = 0
        self._in_doubt: int | None = None
        self._leaving = Event()

    def run(self, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        """Do `actions` in one transaction; their results.

        :param durable: False where a crash of the server may undo it.
        :raises ConnectionLost: where the server is not there.
        :raises StoreError: in words.
        """
        return patiently(lambda: self._run_once(actions, durable))

    def start(self, action: Callable[[Connection], Any]) -> Deferred[Any] | None:
        """Claim in one statement, in the reactor's thread while no transaction is under way; fires with the answer, or
        with None where a transaction is needed. What a statement takes whose answer is lost was never told to anybody
        here: it is let go of in the next transaction.

        :returns: None where it can't be tried now.
        """
        if self._at_once is None or self._connection is None or not isinstance(action, OneStatementClaim):
            return None
        if not self.number or self._in_doubt is not None:
            return None
        self._last += 1
        self._in_doubt = self._last
        words = (str(self._last), str(self.number), *action.arguments)
        return self._at_once.ask(self._connection, words).addCallbacks(self._claimed, self._cut, (action,))

    def leave(self) -> None:
        """Wait no more for a server that is away; called from another thread."""
        self._leaving.set()

    def close(self) -> None:
        """Disconnect."""
        self._drop()
        self._server.close()

    def _run_once(self, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        self._last += 1
        connection, answers = self._body(actions, durable)
        try:
            with self._server.errors_in_words():
                connection.commit()
        except ConnectionLost as error:
            self._drop()
            if not self._took_place(error):
                return self._run_once(actions, durable)
        except BaseException as error:
            self._give_up(connection, error)
            raise
        self._in_doubt = None
        return answers

    def _claimed(self, rows: list[Any], claiming: OneStatementClaim[Any]) -> Any:
        self._in_doubt = None
        return claiming.read(rows)

    def _cut(self, failure: Failure) -> None:
        """What was wrong shows in the transaction that follows, if it still is."""
        self.log.debug("a claim was cut short: {error}", error=failure.value)
        self._drop()

    def _body(self, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> tuple[Connection, list[Any]]:
        """Everything but the commit. A connection that broke while it was idle shows that only now, so that the first
        loss is no news."""
        fresh = self._connection is None
        connection = self._connected()
        try:
            return connection, self._do(connection, actions, durable)
        except ConnectionLost:
            self._drop()
            if fresh:
                raise
        except BaseException as error:
            self._give_up(connection, error)
            raise
        return self._body(actions, durable)

    def _do(self, connection: Connection, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        with self._server.errors_in_words():
            if self.number:
                self._let_go(connection)
                self.known = self._database.statements.sign(connection, self.number, self._last, durable)
            return [action(connection) for action in actions]

    def _let_go(self, connection: Connection) -> None:
        if self._in_doubt is not None and self._database.last_of(connection, self.number) == self._in_doubt:
            let_go(connection, self.number, self._in_doubt)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._server.connect()
            if self._at_once is not None:
                self._prepare(self._at_once, self._connection)
        return self._connection

    def _prepare(self, at_once: PreparedStatement, connection: Connection) -> None:
        try:
            with self._server.errors_in_words():
                at_once.prepare(connection)
        except BaseException:
            self._drop()
            raise

    def _give_up(self, connection: Connection, error: BaseException) -> None:
        """End a transaction that failed; leave a server that can't do it at this time."""
        if isinstance(error, StoreUnavailable) and self._server.dialect.ends_connection(error):
            self._drop()
        else:
            with self._server.errors_in_words():
                connection.rollback()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _took_place(self, lost: ConnectionLost) -> bool:
        """Whether the last transaction did, whose COMMIT was not answered; waits for the server to come back.

        :raises CommitLost: where this process leaves before.
        """
        backoff = Backoff(0.25, 5.0, self._random)
        self.log.warn("lost the connection during a commit, and asks what became of it: {error}", error=lost)
        while True:
            try:
                found = self._server.run(lambda connection: self._database.last_of(connection, self.number))
            except StoreUnavailable:
                if self._leaving.wait(backoff.failed()):
                    raise CommitLost(str(lost)) from None
            else:
                return found == self._last
