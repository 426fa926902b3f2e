"""SqlSharedState: suspects and pauses in a morgue on a database server, for the daemons of any number of hosts."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from snqd.core.clocks import unix_time
from snqd.stores.sql.schema import MORGUE_MIGRATIONS, noted_pause, suspect
from snqd.stores.sql.server import SqlServer
from snqd.stores.sql.statements import plain_text
from snqd.stores.stomp.shared_state import FORGET_AFTER, SharedStateSnapshot, snapshot_of


class SqlSharedState:
    """See :class:`~snqd.stores.stomp.shared_state.SharedState`.

    :param url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        self._server = SqlServer(url, "morgue", MORGUE_MIGRATIONS)

    def close(self) -> None:
        """See :class:`SharedState`."""
        self._server.close()

    def read(self) -> SharedStateSnapshot:
        """See :class:`SharedState`."""
        suspects = select(suspect.c.id, suspect.c.owner, suspect.c.cause, suspect.c.queue, suspect.c.site)
        pauses = select(noted_pause.c.queue, noted_pause.c.site, noted_pause.c.paused)
        return self._server.run(
            lambda connection: snapshot_of(connection.execute(suspects).all(), connection.execute(pauses).all())
        )

    def suspect(self, owner: str, ids: Collection[str], cause: str) -> int:
        """See :class:`SharedState`."""
        now = unix_time()
        known_here = select(suspect.c.id).where(suspect.c.id.in_(ids), suspect.c.owner == owner)

        def note(connection: Connection) -> int:
            connection.execute(delete(suspect).where(suspect.c.since < now - FORGET_AFTER))
            new = set(ids) - set(connection.scalars(known_here))
            row = {"owner": owner, "cause": plain_text(cause), "since": now, "queue": "", "site": ""}
            if new:
                connection.execute(delete(suspect).where(suspect.c.id.in_(new)))
                connection.execute(insert(suspect), [{"id": job, **row} for job in sorted(new)])
            return len(new)

        return self._server.run(note)

    def moved(self, job: str, queue: str, site: str) -> None:
        """See :class:`SharedState`."""
        moved = update(suspect).where(suspect.c.id == job).values(queue=queue, site=site)
        self._server.run(lambda connection: connection.execute(moved))

    def cleared(self, job: str) -> None:
        """See :class:`SharedState`."""
        self._server.run(lambda connection: connection.execute(delete(suspect).where(suspect.c.id == job)))

    def pause(self, queue: str, site: str, paused: bool) -> None:
        """See :class:`SharedState`."""
        mine = (noted_pause.c.queue == queue, noted_pause.c.site == site)

        def note(connection: Connection) -> None:
            known = connection.scalar(select(noted_pause.c.queue).where(*mine)) is not None
            if known:
                connection.execute(update(noted_pause).where(*mine).values(paused=paused))
            elif paused:
                connection.execute(insert(noted_pause).values(queue=queue, site=site, paused=True))

        self._server.run(note)

    def put_aside(self, queue: str) -> None:
        """See :class:`SharedState`."""
        mine = (noted_pause.c.queue == queue, noted_pause.c.site == "")

        def note(connection: Connection) -> None:
            if connection.scalar(select(noted_pause.c.queue).where(*mine)) is None:
                connection.execute(insert(noted_pause).values(queue=queue, site="", paused=False))

        self._server.run(note)
