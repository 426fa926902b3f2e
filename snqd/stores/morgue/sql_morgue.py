"""SqlMorgue: dead letters in a database on a server, for any number of hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, true, update

from snqd.stores.morgue.morgue import PAGE, Buried, Letter, Morgue, plain
from snqd.stores.sql.mariadb import CHUNK_BYTES, chunks_behind_first
from snqd.stores.sql.schema import MORGUE_MIGRATIONS, letter
from snqd.stores.sql.server import SqlServer
from snqd.stores.sql.statements import plain_text

MAX_KEY_CHARS = 600
"""What both servers can index; names of what could not be read may be longer, and are cut."""


class SqlMorgue(Morgue):
    """Dead letters on a server.

    :param url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        self._server = SqlServer(url, "morgue", MORGUE_MIGRATIONS)

    def open(self) -> None:
        """See :meth:`Morgue.open`."""
        self._server.connect().close()

    def exists(self) -> bool:
        """See :meth:`Morgue.exists`."""
        return True

    def close(self) -> None:
        """See :meth:`Morgue.close`."""
        self._server.close()

    def bury(self, letters: Sequence[Letter]) -> None:
        """See :meth:`Morgue.bury`."""
        rows = {row["id"]: row for row in map(_row, letters)}

        def replace(connection: Connection) -> None:
            connection.execute(delete(letter).where(letter.c.id.in_(rows)))
            for row in rows.values():
                self._insert(connection, row)

        self._server.run(replace)

    def count(self, queue: str | None = None, site: str | None = None) -> int:
        """See :meth:`Morgue.count`."""
        counted = select(func.count()).select_from(letter).where(_condition(queue, site))
        return self._server.run(lambda connection: connection.scalar(counted)) or 0

    def remove(self, ids: Iterable[str]) -> int:
        """See :meth:`Morgue.remove`."""
        gone = delete(letter).where(letter.c.id.in_([_key(letter_id) for letter_id in ids]))
        return self._server.run(lambda connection: connection.execute(gone).rowcount)

    def remove_all(self, queue: str | None = None, site: str | None = None) -> int:
        """See :meth:`Morgue.remove_all`."""
        gone = delete(letter).where(_condition(queue, site))
        return self._server.run(lambda connection: connection.execute(gone).rowcount)

    def _insert(self, connection: Connection, row: dict[str, Any]) -> None:
        chunks = [] if self._server.postgresql else chunks_behind_first(row["body"])
        first = row["body"][:CHUNK_BYTES] if chunks else row["body"]
        connection.execute(insert(letter).values({**row, "body": first}))
        for chunk in chunks:
            longer = func.concat(letter.c.body, chunk)
            connection.execute(update(letter).where(letter.c.id == row["id"]).values(body=longer))

    def _delete(self, numbers: Sequence[int]) -> None:
        gone = delete(letter).where(letter.c.number.in_(numbers))
        self._server.run(lambda connection: connection.execute(gone))

    def _page(self, queue: str | None, site: str | None, after: int, last: int | None) -> Sequence[int]:
        condition = and_(_condition(queue, site), letter.c.number > after)
        if last is not None:
            condition = and_(condition, letter.c.number <= last)
        page = select(letter.c.number).where(condition).order_by(letter.c.number).limit(PAGE)
        return self._server.run(lambda connection: list(connection.scalars(page)))

    def _newest(self) -> int:
        newest = select(func.max(letter.c.number))
        return self._server.run(lambda connection: connection.scalar(newest)) or 0

    def _by_number(self, number: int) -> Buried | None:
        return self._find(letter.c.number == number)

    def _by_id(self, letter_id: str) -> Buried | None:
        return self._find(letter.c.id == _key(letter_id))

    def _find(self, condition: ColumnElement[bool]) -> Buried | None:
        row = self._server.run(lambda connection: connection.execute(select(letter).where(condition)).first())
        return Buried(row[0], Letter(*row[1:])) if row else None


def _condition(queue: str | None, site: str | None) -> ColumnElement[bool]:
    wanted = {letter.c.queue: queue, letter.c.site: site}
    return and_(true(), *(column == _key(value) for column, value in wanted.items() if value is not None))


def _row(buried: Letter) -> dict[str, Any]:
    row = attrs.asdict(buried)
    texts = {"reason": plain_text(buried.reason), "traceback": plain_text(buried.traceback)}
    keys = {name: _key(row[name]) for name in ("id", "site", "queue")}
    return {**row, **texts, **keys}


def _key(name: str) -> str:
    return plain(plain_text(name))[:MAX_KEY_CHARS]
