"""Farm leases in a database: a table with a row a lease."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, select, update
from sqlalchemy.dialects.mysql import insert as mariadb_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from zope.interface import implementer

from snqd.core.farm_lease import Holding
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.sql.schema import Migration
from snqd.stores.sql.server import SqlServer

lease_tables = MetaData()
lease = Table(
    "snqd_farm_lease",
    lease_tables,
    Column("name", String(255), primary_key=True),
    Column("holder", String(255), nullable=False),
    Column("beat", BigInteger, nullable=False),
    mariadb_engine="InnoDB",
    mariadb_default_charset="utf8mb4",
)
LEASE_MIGRATIONS: tuple[Migration, ...] = (lease_tables.create_all,)


@implementer(IFarmLeases)
class FarmLeaseTable:
    """The table.

    :param url: SQLAlchemy's.
    :param farm: what tells the leases of farms apart that share the database.
    """

    def __init__(self, url: str, farm: str = "") -> None:
        self._farm = farm
        self._server = SqlServer(url, "leases", LEASE_MIGRATIONS)

    def lease_of(self, name: str) -> Holding | None:
        """See :meth:`IFarmLeases.lease_of`."""
        query = select(lease.c.holder, lease.c.beat).where(lease.c.name == self._farm + name)
        row = self._server.run(lambda connection: connection.execute(query).first())
        return Holding(row.holder, row.beat) if row is not None else None

    def exchange_lease(self, name: str, found: Holding | None, new: Holding) -> bool:
        """See :meth:`IFarmLeases.exchange_lease`."""

        def write(connection: Connection) -> bool:
            if found is None:
                return self._insert(connection, name, new)
            is_found = (
                (lease.c.name == self._farm + name) & (lease.c.holder == found.holder) & (lease.c.beat == found.beat)
            )
            changed = update(lease).where(is_found).values(holder=new.holder, beat=new.beat)
            return connection.execute(changed).rowcount == 1

        return self._server.run(write)

    def close(self) -> None:
        """See :meth:`IFarmLeases.close`."""
        self._server.close()

    def _insert(self, connection: Connection, name: str, new: Holding) -> bool:
        """Insert the first row of a lease; False where another process was sooner."""
        row = {"name": self._farm + name, "holder": new.holder, "beat": new.beat}
        if self._server.postgresql:
            inserted = postgresql_insert(lease).values(row).on_conflict_do_nothing().returning(lease.c.beat)
            return connection.execute(inserted).first() is not None
        return connection.execute(mariadb_insert(lease).prefix_with("IGNORE").values(row)).rowcount == 1
