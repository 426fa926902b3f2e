"""SqlDatabase: what can be done to the queue in a database on a server, one method each; blocking."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs
from sqlalchemy import Connection, Select, case, delete, func, insert, select, update

from snqd.stores.interface import Depth, Pauses, Receipt
from snqd.stores.settlement import Settlement
from snqd.stores.sql.mariadb import MariaDbStatements
from snqd.stores.sql.postgresql import PostgresqlStatements
from snqd.stores.sql.schema import (
    DELAYED,
    IN_HAND,
    QUEUE_MIGRATIONS,
    READY,
    SOLO,
    SOLO_IN_HAND,
    db_now,
    job,
    owner,
    pause,
)
from snqd.stores.sql.server import SqlServer
from snqd.stores.sql.statements import Added, Statements, plain_text


class SqlDatabase:
    """The queue's tables on one server. Every method works inside the caller's transaction."""

    def __init__(self, url: str) -> None:
        self.server = SqlServer(url, "queue", QUEUE_MIGRATIONS)
        self.statements: Statements = PostgresqlStatements() if self.server.postgresql else MariaDbStatements()

    def settle(self, connection: Connection, settlement: Settlement, by: str) -> tuple[set[Receipt], Added]:
        """Do what `settlement` says, whole batches at once; returns the receipts that were good, and what follow-up
        jobs were added.

        :param by: see :meth:`Statements.insert`.
        """
        good: set[Receipt] = set()
        for epoch, part in settlement.by_epoch().items():
            keys = self._settle_epoch(connection, epoch, part)
            good.update(receipt for receipt in part.receipts if receipt.key in keys)
        follow_ups = [follow_up for receipt, jobs in settlement.acks if receipt in good for follow_up in jobs]
        return good, self.statements.insert(connection, follow_ups, by) if follow_ups else Added({})

    def _settle_epoch(self, connection: Connection, epoch: int, part: Settlement) -> set[int]:
        good: set[int] = set()
        if part.acks:
            good |= self.statements.acknowledge(connection, epoch, [receipt.key for receipt, _ in part.acks])
        if part.retries:
            rows = [
                (receipt.key, delay, plain_text(reason), int(attempted))
                for receipt, delay, reason, attempted in part.retries
            ]
            good |= self.statements.retry(connection, epoch, rows)
        if part.given_back:
            good |= self.statements.give_back(connection, epoch, [receipt.key for receipt in part.given_back])
        return good

    def register(self, connection: Connection, name: str) -> int:
        """Make `name` an owner of claims; returns its number, the same to several who ask at once."""
        found = connection.scalar(select(owner.c.n).where(owner.c.name == name))
        if found is not None:
            return int(found)
        key = connection.execute(insert(owner).values(name=name)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def recover(self, connection: Connection, name: str, suspects: Collection[str], cause: str) -> int:
        """Free what the owner `name` had claimed; see :meth:`IStore.recover`."""
        # The lock waits for the transaction that this owner may be in, and keeps it from claiming more.
        number = connection.scalar(select(owner.c.n).where(owner.c.name == name).with_for_update())
        if number is None:
            return 0
        mine = job.c.state.in_((IN_HAND, SOLO_IN_HAND)) & (job.c.owner == number)
        guilty = {"state": SOLO, "owner": 0, "attempt": job.c.attempt + 1, "reason": plain_text(cause)}
        freed = 0
        if suspects:
            freed += connection.execute(update(job).where(mine, job.c.id.in_(suspects)).values(guilty)).rowcount
        innocent = {"state": case((job.c.state == SOLO_IN_HAND, SOLO), else_=READY), "owner": 0}
        freed += connection.execute(update(job).where(mine).values(innocent)).rowcount
        connection.execute(delete(owner).where(owner.c.n == number))
        return freed

    def beats(self, connection: Connection, but: int) -> list[tuple[str, int]]:
        """The signs of life of all owners but one: name, and number of its last transaction."""
        rows = connection.execute(select(owner.c.name, owner.c.last).where(owner.c.n != but))
        return [(name, last) for name, last in rows]

    def last_of(self, connection: Connection, number: int) -> int | None:
        """The number of the owner's last transaction that was committed, None if it is not known any more."""
        return connection.scalar(select(owner.c.last).where(owner.c.n == number))

    def set_pause(self, connection: Connection, queue: str | None, site: str | None, paused: bool) -> None:
        """Write down that a queue, a site or a site's share of a queue is paused, or no longer."""
        row = {"queue": queue or "", "site": site or ""}
        connection.execute(delete(pause).filter_by(**row))
        if paused:
            connection.execute(insert(pause).values(row))

    def pauses(self, connection: Connection) -> Pauses:
        """What is paused."""
        rows = connection.execute(select(pause.c.queue, pause.c.site)).all()
        return Pauses(
            frozenset(queue for queue, site in rows if not site),
            frozenset(site for queue, site in rows if not queue),
            frozenset((queue, site) for queue, site in rows if queue and site),
        )

    def depths(self, connection: Connection) -> list[Depth]:
        """What waits, by queue and site; takes a second for some million jobs."""
        now = connection.scalar(select(db_now())) or 0.0
        shares: dict[tuple[str, str], Depth] = {}
        for state, queue, site, number, created in connection.execute(_depths()):
            depth = shares.get((queue, site)) or Depth(queue, site, 0, 0, 0, None)
            shares[queue, site] = _added_up(depth, state, number, max(now - created, 0.0))
        return list(shares.values())


def _depths() -> Select[Any]:
    """State, queue, site, how many, and the creation of the first of them; counted in an index alone."""
    counted = (
        select(job.c.state, job.c.queue, job.c.site, func.count().label("number"), func.min(job.c.n).label("first"))
        .group_by(job.c.state, job.c.queue, job.c.site)
        .subquery("counted")
    )
    columns = (counted.c.state, counted.c.queue, counted.c.site, counted.c.number)
    return select(*columns, job.c.created).join(job, job.c.n == counted.c.first)


def _added_up(depth: Depth, state: int, number: int, age: float) -> Depth:
    if state == DELAYED:
        return attrs.evolve(depth, delayed=depth.delayed + number)
    if state in (IN_HAND, SOLO_IN_HAND):
        return attrs.evolve(depth, in_flight=depth.in_flight + number)
    oldest = age if depth.oldest_age is None else max(depth.oldest_age, age)
    return attrs.evolve(depth, waiting=depth.waiting + number, oldest_age=oldest)
