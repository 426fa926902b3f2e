"""The control channel in a database: a table of messages, each of which stays for some minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Double, Identity, LargeBinary, MetaData, Table, func, select
from zope.interface import implementer

from snqd.stores.control import IControlPublisher
from snqd.stores.sql.schema import Migration, db_now
from snqd.stores.sql.server import SqlServer
from snqd.wire.control_message import MAX_BYTES

KEPT = 600.0
"""Seconds after which a message is deleted by whoever publishes the next one; by the database's clock."""
MOST_AT_ONCE = 1000
"""Messages that one look brings at most."""

control_tables = MetaData()
control = Table(
    "snqd_control",
    control_tables,
    Column("n", BigInteger, Identity(), primary_key=True),
    Column("sent", Double, nullable=False, server_default=db_now()),
    Column("body", LargeBinary, nullable=False),
    mariadb_engine="InnoDB",
)
CONTROL_MIGRATIONS: tuple[Migration, ...] = (control_tables.create_all,)

Message = tuple[int, bytes]


@implementer(IControlPublisher)
class ControlTable:
    """The table; also a :class:`~snqd.stores.control.IControlPublisher`.

    :param url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        self._server = SqlServer(url, "control", CONTROL_MIGRATIONS)
        self.name = self._server.name

    def publish(self, body: bytes) -> None:
        """See :class:`~snqd.stores.control.IControlPublisher`."""

        def write(connection: Connection) -> None:
            connection.execute(control.delete().where(control.c.sent < db_now() - KEPT))
            connection.execute(control.insert().values(body=body))

        self._server.run(write)

    def last(self) -> int:
        """The number of the newest message, 0 if there is none.

        :raises StoreError: where the database does not take part.
        """
        return self._server.run(lambda connection: connection.scalar(select(func.max(control.c.n)))) or 0

    def behind(self, number: int) -> Sequence[Message]:
        """Messages with higher numbers, the oldest first.

        :raises StoreError: where the database does not take part.
        """
        body: Any = func.substring(control.c.body, 1, MAX_BYTES + 1)
        rows = select(control.c.n, body).where(control.c.n > number).order_by(control.c.n).limit(MOST_AT_ONCE)
        return self._server.ask(lambda connection: [(row[0], bytes(row[1])) for row in connection.execute(rows)])

    def close(self) -> None:
        """See :class:`~snqd.stores.control.IControlPublisher`."""
        self._server.close()
