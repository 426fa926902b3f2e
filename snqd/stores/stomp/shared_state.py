"""SharedState: what a broker can't keep: who is suspect and what is paused, in the morgue's database.

Blocking; :class:`NoteReader` keeps a copy for the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from snqd.core.clocks import unix_time
from snqd.core.errors import StoreError
from snqd.pipe.periodic import PeriodicCall
from snqd.stores.interface import Pauses
from snqd.stores.morgue.morgue import APPLICATION_ID, MIGRATIONS, plain
from snqd.stores.sqlite.connection import SqliteFile

LOOK_EVERY = 0.5
"""Seconds between looks for what other processes noted."""
FORGET_AFTER = 24 * 3600.0
"""Seconds after which a suspect that never came is forgotten."""

T = TypeVar("T")
PauseKey = tuple[str, str]


@attrs.frozen
class Suspect:
    """A job that may have killed its process.

    :ivar owner: that process.
    :ivar cause: how it died.
    :ivar queue: its queue once it waits to run alone, empty while it has not come back from the broker.
    :ivar site: its site, as well.
    """

    owner: str
    cause: str
    queue: str
    site: str

    @property
    def is_announced(self) -> bool:
        """Whether it has not come back yet."""
        return not self.queue


@attrs.frozen
class SharedStateSnapshot:
    """What is noted.

    :ivar suspects: by job id.
    :ivar paused: as (queue, site), with an empty one for all.
    :ivar resumed: what was paused or not served once, and may have jobs left where they were put then.
    """

    suspects: dict[str, Suspect] = attrs.field(factory=dict)
    paused: frozenset[PauseKey] = frozenset()
    resumed: frozenset[PauseKey] = frozenset()

    @property
    def pauses(self) -> Pauses:
        """What is paused, as :meth:`IStore.pauses` tells it."""
        return Pauses(
            frozenset(queue for queue, site in self.paused if not site),
            frozenset(site for queue, site in self.paused if not queue),
            frozenset((queue, site) for queue, site in self.paused if queue and site),
        )

    def pause_of(self, queue: str, site: str) -> PauseKey | None:
        """The pause that covers a job, None if there is none."""
        if not self.paused:
            return None
        return next((key for key in ((queue, ""), ("", site), (queue, site)) if key in self.paused), None)


def snapshot_of(suspects: Iterable[Sequence[Any]], pauses: Iterable[Sequence[Any]]) -> SharedStateSnapshot:
    """From rows of id, owner, cause, queue and site, and of queue, site and whether it is paused."""
    by_key = {(queue, site): bool(paused) for queue, site, paused in pauses}
    return SharedStateSnapshot(
        {job: Suspect(*rest) for job, *rest in suspects},
        frozenset(key for key, paused in by_key.items() if paused),
        frozenset(key for key, paused in by_key.items() if not paused),
    )


class SharedState(Protocol):
    """Where notes are kept, for one thread at a time; each method raises a StoreError where that does not take part."""

    def close(self) -> None:
        """Disconnect."""

    def read(self) -> SharedStateSnapshot:
        """All that is noted."""

    def suspect(self, owner: str, ids: Collection[str], cause: str) -> int:
        """Note that the process `owner` died running these jobs; once for each of both. Returns how many are new."""

    def moved(self, job: str, queue: str, site: str) -> None:
        """Note that a suspect waits to run alone."""

    def cleared(self, job: str) -> None:
        """Note that a suspect is none any more."""

    def pause(self, queue: str, site: str, paused: bool) -> None:
        """Note that something is paused, or no longer."""

    def put_aside(self, queue: str) -> None:
        """Note that jobs of a queue that is not served lie where its pause would put them."""


class FileSharedState:
    """SharedState in a morgue that is an SQLite file."""

    def __init__(self, morgue: Path) -> None:
        self._file = SqliteFile(morgue, "morgue", APPLICATION_ID, MIGRATIONS)

    def close(self) -> None:
        """See :class:`SharedState`."""
        self._file.close()

    def read(self) -> SharedStateSnapshot:
        """See :class:`SharedState`."""
        connection = self._file.open()
        with self._file.errors_in_words():
            suspects = connection.execute("SELECT id, owner, cause, queue, site FROM suspect").fetchall()
            pauses = connection.execute("SELECT queue, site, paused FROM pause").fetchall()
        return snapshot_of(suspects, pauses)

    def suspect(self, owner: str, ids: Collection[str], cause: str) -> int:
        """See :class:`SharedState`."""
        with self._file.transaction() as connection:
            now = unix_time()
            connection.execute("DELETE FROM suspect WHERE since < ?", (now - FORGET_AFTER,))
            return connection.executemany(
                "INSERT INTO suspect (id, owner, cause, since, queue, site) VALUES (?, ?, ?, ?, '', '') "
                "ON CONFLICT (id) DO UPDATE "
                "SET owner = excluded.owner, cause = excluded.cause, since = excluded.since, queue = '', site = '' "
                "WHERE owner <> excluded.owner",
                [(job, owner, plain(cause), now) for job in ids],
            ).rowcount

    def moved(self, job: str, queue: str, site: str) -> None:
        """See :class:`SharedState`."""
        with self._file.transaction() as connection:
            connection.execute("UPDATE suspect SET queue = ?, site = ? WHERE id = ?", (queue, site, job))

    def cleared(self, job: str) -> None:
        """See :class:`SharedState`."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM suspect WHERE id = ?", (job,))

    def pause(self, queue: str, site: str, paused: bool) -> None:
        """See :class:`SharedState`."""
        with self._file.transaction() as connection:
            if paused:
                connection.execute("INSERT OR REPLACE INTO pause (queue, site, paused) VALUES (?, ?, 1)", (queue, site))
            else:
                connection.execute("UPDATE pause SET paused = 0 WHERE queue = ? AND site = ?", (queue, site))

    def put_aside(self, queue: str) -> None:
        """See :class:`SharedState`."""
        with self._file.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO pause (queue, site, paused) VALUES (?, '', 0)", (queue,))


class NoteReader:
    """Writes notes in a thread of its own, and reads again and again what others wrote.

    :param changed: called when there is something new.
    :ivar noted: as it was read last.
    """

    log = Logger()

    def __init__(self, reactor: Any, notes: SharedState, changed: Callable[[], object]) -> None:
        self._reactor = reactor
        self._notes = notes
        self._changed = changed
        self._pool = ThreadPool(0, 1, "notes")
        self._look = PeriodicCall(reactor, self._look_once)
        self.noted = SharedStateSnapshot()

    async def open(self) -> None:
        """Read for the first time."""
        self._pool.start()
        await self.refresh()
        self._look.start(LOOK_EVERY, now=False)

    async def close(self) -> None:
        """End the thread."""
        if self._look.running:
            self._look.stop()
        if self._pool.started:
            await self._do(self._notes.close)
            self._pool.stop()

    async def refresh(self) -> None:
        """Read what is noted now."""
        self._take(await self._do(self._notes.read))

    async def write(self, action: Callable[[SharedState], T]) -> T:
        """Write a note, and read."""

        def both() -> tuple[T, SharedStateSnapshot]:
            return action(self._notes), self._notes.read()

        result, noted = await self._do(both)
        self._take(noted)
        return result

    def _do(self, call: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, call)

    def _take(self, noted: SharedStateSnapshot) -> None:
        if noted != self.noted:
            self.noted = noted
            self._changed()

    def _look_once(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.refresh()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(StoreError) is None:
            self.log.failure("reading notes broke", failure)
        else:
            self.log.warn("suspects and pauses can't be read: {error}", error=failure.value)
