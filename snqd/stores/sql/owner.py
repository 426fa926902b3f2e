"""Owner: the transactions of one process that claims jobs, each signed, so that none is ever in doubt for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from threading import Event
from typing import Any

from sqlalchemy import Connection
from twisted.logger import Logger

from snqd.core.backoff import Backoff
from snqd.core.errors import StoreUnavailable
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.server import patiently


class Owner:
    """Runs transactions on one connection, for one thread; made again when it was lost.

    Each transaction writes its number into the owner's row. That locks the row, so that nobody gives the owner up
    meanwhile; it is the owner's sign of life; and where a connection is lost during COMMIT, it tells afterwards whether
    the transaction took place.

    :ivar number: under which jobs are claimed; 0 before registration.
    :ivar known: whether the store knew the owner at the beginning of the transaction under way.
    """

    log = Logger()

    def __init__(self, database: SqlDatabase, random: Random) -> None:
        self.number = 0
        self.known = False
        self.name = database.server.name
        self._database = database
        self._server = database.server
        self._random = random
        self._connection: Connection | None = None
        self._last = 0
        self._leaving = Event()

    def run(self, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        """Do `actions` in one transaction; their results.

        :param durable: False where a crash of the server may undo it.
        :raises ConnectionLost: where the server is not there.
        :raises StoreError: in words.
        """
        return patiently(lambda: self._run_once(actions, durable))

    def leave(self) -> None:
        """Wait no more for a server that is away; called from another thread."""
        self._leaving.set()

    def close(self) -> None:
        """Disconnect."""
        self._drop()
        self._server.close()

    def _run_once(self, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        self._last += 1
        connection = self._connected()
        try:
            answers = self._do(connection, actions, durable)
        except BaseException as error:
            self._give_up(connection, error)
            raise
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
        return answers

    def _do(self, connection: Connection, actions: Sequence[Callable[[Connection], Any]], durable: bool) -> list[Any]:
        with self._server.errors_in_words():
            if self.number:
                self.known = self._database.statements.sign(connection, self.number, self._last, durable)
            return [action(connection) for action in actions]

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._server.connect()
        return self._connection

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

        :raises ConnectionLost: where this process leaves before.
        """
        backoff = Backoff(0.25, 5.0, self._random)
        self.log.warn("lost the connection during a commit, and asks what became of it: {error}", error=lost)
        while True:
            try:
                found = self._server.run(lambda connection: self._database.last_of(connection, self.number))
            except StoreUnavailable:
                if self._leaving.wait(backoff.failed()):
                    raise lost from None
            else:
                return found == self._last
