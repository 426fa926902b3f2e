"""What is asked of a database on the hot path, in the words of each kind of server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import attrs
from sqlalchemy import Connection

from snqd.core.job import Job
from snqd.stores.interface import Claimed, Receipt
from snqd.stores.sql.schema import DELAYED, READY, SOLO, SOLO_IN_HAND

PROMOTED_AT_ONCE = 1000
INSERTED_AT_ONCE = 1000
INSERTED_AT_ONCE_BYTES = 4 * 1024 * 1024

INSERTED = "id, site, queue, encoding, created, attempt, state, due, reason, body"
FETCHED = "n, id, site, queue, encoding, created, attempt, state, reason, body"


@attrs.frozen
class Added:
    """What jobs were added, as far as those who wait for some must still be told.

    :ivar first: the lowest key of the jobs of each queue that are ready.
    :ivar due: when the first of the delayed ones is due, in Unix seconds; None without one.
    """

    first: Mapping[str, int]
    due: float | None = None

    @property
    def told(self) -> bool:
        """Whether nobody must be told any more."""
        return not self.first and self.due is None


@attrs.frozen
class Walk:
    """A look for sites that have ready jobs of `queue`: those behind `after` and then those up to it, `limit` at most.

    :ivar ordered: leave out sites whose later jobs are held back by one that is in hand, suspect, or to be retried.
    """

    queue: str
    after: str
    limit: int
    ordered: bool


@attrs.frozen
class Outlook:
    """What there is to do.

    :ivar now: the database's time, in Unix seconds.
    :ivar due: when the next delayed job is, None if none waits.
    :ivar suspects: the queues in which suspects wait to run alone, none of which is in hand.
    :ivar sites: those that each walk has found, by its queue, in their turn; paused ones are left out.
    """

    now: float
    due: float | None
    suspects: frozenset[str]
    sites: Mapping[str, Sequence[str]]


class Statements(Protocol):
    """Each method works inside the caller's transaction.

    Nothing waits for a row that another process is at work on, but for its own owner's and `alone`.
    """

    def sign(self, connection: Connection, owner: int, last: int, durable: bool) -> bool:
        """Write down the number of the owner's transaction under way; False if the owner is not known any more.

        :param durable: False where a crash of the server may undo it.
        """

    def insert(self, connection: Connection, jobs: Sequence[Job], by: str) -> Added:
        """Add `jobs` in their order.

        :param by: who adds them; it does not hear of it itself.
        """

    def acknowledge(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """Remove those of the jobs that `owner` has in hand; returns which these were."""

    def retry(self, connection: Connection, owner: int, rows: Sequence[tuple[int, float, str, int]]) -> set[int]:
        """Delay those of the jobs (key, seconds, reason, 1 if that was an attempt or 0) that `owner` has in hand;
        returns which these were."""

    def give_back(self, connection: Connection, owner: int, keys: Sequence[int]) -> set[int]:
        """Free those of the jobs that `owner` has in hand; returns which these were."""

    def outlook(self, connection: Connection, walks: Sequence[Walk]) -> Outlook:
        """What there is to do, one walk for each queue."""

    def promote(self, connection: Connection, now: float) -> None:
        """Make ready what is due, the first thousand at most."""

    def take(
        self, connection: Connection, owner: int, queue: str, quotas: Mapping[str, int]
    ) -> dict[str, list[Claimed]]:
        """Put the first ready jobs of `queue` into the owner's hands: of each site so many as `quotas` says, or fewer,
        in their order."""

    def take_solo(self, connection: Connection, owner: int, queues: Collection[str]) -> list[Claimed]:
        """Put the longest waiting suspect of `queues` into the owner's hands, unless one is in hand."""

    def alone(self, connection: Connection) -> None:
        """Wait until no other process is between this call and the end of its transaction."""

    def is_ready(self, connection: Connection, queues: Collection[str]) -> bool:
        """Whether some job of `queues` is ready, or any job is due."""


def state_of(job: Job) -> int:
    """The state in which a new job starts."""
    if job.not_before:
        return DELAYED
    return SOLO if job.solo else READY


def row_of(job: Job) -> tuple[Any, ...]:
    """A new job's row, in the order of `INSERTED`."""
    due = job.not_before or None
    reason = plain_text(job.reason)
    return (job.id, job.site, job.queue, job.encoding, job.created, job.attempt, state_of(job), due, reason, job.body)


def claimed_of(row: Sequence[Any], owner: int) -> Claimed:
    """The job of a row in the order of `FETCHED`."""
    key, job_id, site, queue, encoding, created, attempt, state, reason, body = row
    solo = state in (SOLO, SOLO_IN_HAND)
    return Claimed(Job(job_id, site, queue, body, encoding, created, attempt, 0.0, solo, reason), Receipt(key, owner))


def in_batches(jobs: Sequence[Job]) -> list[Sequence[Job]]:
    """`jobs` in parts that a server takes in one statement."""
    batches: list[Sequence[Job]] = []
    start = size = 0
    for end, job in enumerate(jobs):
        if end > start and (end - start == INSERTED_AT_ONCE or size + len(job.body) > INSERTED_AT_ONCE_BYTES):
            batches.append(jobs[start:end])
            start, size = end, 0
        size += len(job.body)
    return [*batches, jobs[start:]] if jobs else []


def plain_text(text: str) -> str:
    """`text` as any database can carry it."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
