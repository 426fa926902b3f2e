"""The morgue: where dead letters lie, the same for every store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from snqd.core.errors import BadName
from snqd.core.job import JSON, Job, digest_id
from snqd.core.names import check_id
from snqd.stores.sqlite.connection import PATIENCE, SqliteFile

APPLICATION_ID = 0x736E716D  # "snqm"
MIGRATIONS = (
    """
    CREATE TABLE letter (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        site TEXT NOT NULL,
        queue TEXT NOT NULL,
        body BLOB NOT NULL,
        encoding TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        created REAL NOT NULL,
        died REAL NOT NULL,
        reason TEXT NOT NULL,
        traceback TEXT NOT NULL
    ) STRICT;
    CREATE INDEX letter_queue ON letter (queue);
    CREATE INDEX letter_site ON letter (site)
    """,
    # For stores that can't keep these themselves: who may have killed its process, and what is paused.
    """
    CREATE TABLE suspect (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        cause TEXT NOT NULL,
        since REAL NOT NULL,
        queue TEXT NOT NULL,
        site TEXT NOT NULL
    ) STRICT;
    CREATE TABLE pause (
        queue TEXT NOT NULL,
        site TEXT NOT NULL,
        paused INTEGER NOT NULL,
        PRIMARY KEY (queue, site)
    ) STRICT
    """,
)
_COLUMNS = "id, site, queue, body, encoding, attempts, created, died, reason, traceback"
PAGE = 500
_BATCH_BYTES = 4 * 1024 * 1024


@attrs.frozen
class Letter:
    """A job that will not be run again by itself.

    :ivar body: the encoded payload, or the raw bytes of what could not be decoded.
    :ivar encoding: how `body` is encoded, as :class:`~snqd.core.job.Job` says.
    :ivar attempts: how often it ran.
    :ivar created: Unix seconds.
    :ivar died: Unix seconds.
    :ivar reason: why it died, for people.
    :ivar traceback: the handler's, empty where there is none.
    """

    id: str
    site: str
    queue: str
    body: bytes
    encoding: str = JSON
    attempts: int = 0
    created: float = 0.0
    died: float = 0.0
    reason: str = ""
    traceback: str = ""

    def as_job(self) -> Job:
        """The job it was, before its first attempt; an id that no store would take is replaced by its digest."""
        return Job(_job_id(self.id), self.site, self.queue, self.body, self.encoding, self.created)


@attrs.frozen
class Buried:
    """A letter and its number, which is new at each burial: who dies again meanwhile is not removed by mistake."""

    number: int
    letter: Letter


class Morgue(ABC):
    """What every morgue can do; blocking, for one thread at a time. Opened at first use.

    Every method raises a :class:`~snqd.core.errors.StoreError` where the letters can't be read or written.
    """

    @abstractmethod
    def open(self) -> None:
        """Connect, and make what is missing."""

    @abstractmethod
    def exists(self) -> bool:
        """False where no letter was ever buried, so that whoever only looks need not make the morgue."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    def bury(self, letters: Sequence[Letter]) -> None:
        """Keep `letters`, all or none, durable at return. There is one letter for each job id: the last one stays."""

    @abstractmethod
    def count(self, queue: str | None = None, site: str | None = None) -> int:
        """How many letters there are, of one queue or one site if given."""

    @abstractmethod
    def remove(self, ids: Iterable[str]) -> int:
        """Forget the letters of these jobs; returns how many there were."""

    @abstractmethod
    def remove_all(self, queue: str | None = None, site: str | None = None) -> int:
        """Forget all letters, of one queue or one site if given; returns how many there were."""

    @abstractmethod
    def _delete(self, numbers: Sequence[int]) -> None:
        """Forget the letters of these numbers."""

    @abstractmethod
    def _page(self, queue: str | None, site: str | None, after: int, last: int | None) -> Sequence[int]:
        """The next numbers behind `after`, up to `last`: a page of them, in their order."""

    @abstractmethod
    def _newest(self) -> int:
        """The highest number, 0 without letters."""

    @abstractmethod
    def _by_number(self, number: int) -> Buried | None:
        """The letter of that number."""

    @abstractmethod
    def _by_id(self, letter_id: str) -> Buried | None:
        """The letter of that job."""

    def list(self, queue: str | None = None, site: str | None = None) -> Iterator[Letter]:
        """The letters, the oldest burial first, of one queue or one site if given; read one at a time."""
        return (buried.letter for buried in self._walk(queue, site))

    def get(self, letter_id: str) -> Letter | None:
        """The letter of that job, None if there is none."""
        found = self._by_id(letter_id)
        return found.letter if found else None

    def requeue(self, ids: Iterable[str], enqueue: Callable[[Sequence[Job]], None]) -> int:
        """Move the letters of these jobs back to the queue, at attempt 1; returns how many there were.

        :param enqueue: ends when the jobs are durable: only then the letters go, so that a crash between the two
            leaves a job twice rather than never.
        """
        found = (self._by_id(letter_id) for letter_id in ids)
        return self._move((buried for buried in found if buried), enqueue)

    def requeue_all(
        self, enqueue: Callable[[Sequence[Job]], None], queue: str | None = None, site: str | None = None
    ) -> int:
        """Move all letters back, of one queue or one site if given, as :meth:`requeue` does."""
        # What dies again while we move is not moved again: it could go round for ever.
        return self._move(self._walk(queue, site, self._newest()), enqueue)

    def _move(self, found: Iterable[Buried], enqueue: Callable[[Sequence[Job]], None]) -> int:
        moved = 0
        for batch in _batches(found):
            enqueue([buried.letter.as_job() for buried in batch])
            self._delete([buried.number for buried in batch])
            moved += len(batch)
        return moved

    def _walk(self, queue: str | None, site: str | None, last: int | None = None) -> Iterator[Buried]:
        number = 0
        # Numbers by the page, bodies one by one: a page of bodies could be gigabytes.
        while page := self._page(queue, site, number, last):
            for number in page:
                if found := self._by_number(number):
                    yield found


class SqliteMorgue(Morgue):
    """Dead letters in a SQLite file.

    :param patience: seconds to wait for other writers.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self._file = SqliteFile(path, "morgue", APPLICATION_ID, MIGRATIONS, patience=patience)

    def open(self) -> None:
        """Open the file, made where it is missing."""
        # Foreign bytes in a text column must not end a listing.
        self._file.open().text_factory = lambda text: text.decode("utf-8", "replace")

    def exists(self) -> bool:
        """See :meth:`Morgue.exists`."""
        return self.path.exists()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def bury(self, letters: Sequence[Letter]) -> None:
        """See :meth:`Morgue.bury`."""
        with self._file.transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO letter ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(letter) for letter in letters],
            )

    def count(self, queue: str | None = None, site: str | None = None) -> int:
        """See :meth:`Morgue.count`."""
        condition, values = _condition(queue, site)
        return int(self._read(f"SELECT count(*) FROM letter WHERE {condition}", values)[0][0])

    def remove(self, ids: Iterable[str]) -> int:
        """See :meth:`Morgue.remove`."""
        removed = 0
        with self._file.transaction() as connection:
            for letter_id in ids:
                removed += connection.execute("DELETE FROM letter WHERE id = ?", (plain(letter_id),)).rowcount
        return removed

    def remove_all(self, queue: str | None = None, site: str | None = None) -> int:
        """See :meth:`Morgue.remove_all`."""
        condition, values = _condition(queue, site)
        with self._file.transaction() as connection:
            return connection.execute(f"DELETE FROM letter WHERE {condition}", values).rowcount

    def _delete(self, numbers: Sequence[int]) -> None:
        with self._file.transaction() as connection:
            connection.executemany("DELETE FROM letter WHERE number = ?", [(number,) for number in numbers])

    def _page(self, queue: str | None, site: str | None, after: int, last: int | None) -> Sequence[int]:
        condition, values = _condition(queue, site)
        if last is not None:
            condition, values = f"{condition} AND number <= ?", [*values, last]
        sql = f"SELECT number FROM letter WHERE {condition} AND number > ? ORDER BY number LIMIT {PAGE}"
        return [number for (number,) in self._read(sql, [*values, after])]

    def _newest(self) -> int:
        return int(self._read("SELECT coalesce(max(number), 0) FROM letter")[0][0])

    def _by_number(self, number: int) -> Buried | None:
        return self._find("number = ?", number)

    def _by_id(self, letter_id: str) -> Buried | None:
        return self._find("id = ?", plain(letter_id))

    def _find(self, condition: str, value: object) -> Buried | None:
        rows = self._read(f"SELECT number, {_COLUMNS} FROM letter WHERE {condition}", (value,))
        return Buried(rows[0][0], Letter(*rows[0][1:])) if rows else None

    def _read(self, sql: str, values: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
        # All rows at once: a reader left open would hold up the checkpoints.
        self.open()
        with self._file.errors_in_words():
            return self._file.open().execute(sql, tuple(values)).fetchall()


def _condition(queue: str | None, site: str | None) -> tuple[str, list[object]]:
    wanted = {"queue": queue, "site": site}
    named = {column: plain(value) for column, value in wanted.items() if value is not None}
    return " AND ".join(["1", *(f"{column} = ?" for column in named)]), list(named.values())


def _job_id(letter_id: str) -> str:
    try:
        return check_id(letter_id)
    except BadName:
        return digest_id(letter_id.encode(), "")


def _batches(found: Iterable[Buried]) -> Iterator[list[Buried]]:
    batch: list[Buried] = []
    size = 0
    for buried in found:
        batch.append(buried)
        size += len(buried.letter.body)
        if len(batch) == PAGE or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _row(letter: Letter) -> tuple[object, ...]:
    return tuple(plain(value) if isinstance(value, str) else value for value in attrs.astuple(letter, recurse=False))


def plain(value: str) -> str:
    """`value` as UTF-8 can carry it: what names files or comes out of a broken payload may hold lone surrogates."""
    return value.encode("utf-8", "backslashreplace").decode()
