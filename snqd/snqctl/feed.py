"""Feed: jobs on their way into a sink, in batches that are worth a commit and keep no job waiting."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from snqd.core.clocks import Monotonic, monotonic
from snqd.core.errors import Unconfirmed
from snqd.core.job import Job
from snqd.snqctl.invocation import complain
from snqd.stores.blocking import IBlockingQueue

MAX_JOBS = 1000
MAX_BYTES = 4 * 1024 * 1024
MAX_AGE = 0.05
"""Seconds that a job waits for others to fill its batch."""

MAX_LISTED = 1000
"""Failures that the JSON answer lists; each has its line on stderr in any case."""


class Sink(Protocol):
    """Where jobs go.

    :ivar accepted: how many are safe there.
    :ivar unknown: how many may be there, or may come to be, without having been confirmed.
    """

    accepted: int
    unknown: int

    def accept(self, jobs: Sequence[Job]) -> None:
        """Take `jobs`."""


class StoreSink:
    """The store."""

    def __init__(self, queue: IBlockingQueue) -> None:
        self._queue = queue
        self.accepted = self.unknown = 0

    def accept(self, jobs: Sequence[Job]) -> None:
        """Make `jobs` durable and wake the children.

        :raises Unconfirmed: if that is not known of all of them.
        :raises StoreError: if none of them could be kept.
        """
        with _uninterrupted():
            try:
                self._queue.enqueue(jobs)
            except Unconfirmed as error:
                self.accepted += len(error.accepted)
                self.unknown += len(error.unknown)
                raise
            self.accepted += len(jobs)


class Feed:
    """Collects jobs into batches: full by number, by bytes, or due by age.

    :param told: called after each batch.
    :ivar lines: the numbers of those that the batch comes from; of one that failed they stay.
    """

    def __init__(
        self,
        sink: Sink,
        told: Callable[[], object] = lambda: None,
        clock: Callable[[], Monotonic] = monotonic,
    ) -> None:
        self._sink = sink
        self._told = told
        self._clock = clock
        self._jobs: list[Job] = []
        self._bytes = 0
        self._due = 0.0
        self.lines: list[int] = []

    def add(self, job: Job, line: int | None = None) -> None:
        """Take a job into the batch, which may fill it.

        :param line: the number of the line that it comes from, if it comes from one.
        """
        if not self._jobs:
            self._due = self._clock() + MAX_AGE
        self._jobs.append(job)
        if line is not None:
            self.lines.append(line)
        self._bytes += len(job.body)
        if len(self._jobs) >= MAX_JOBS or self._bytes >= MAX_BYTES:
            self.flush()

    def due_in(self) -> float | None:
        """Seconds until the batch must go, None if there is none."""
        return max(self._due - self._clock(), 0.0) if self._jobs else None

    def flush_if_due(self) -> None:
        """Send off a batch that has waited long enough."""
        if self.due_in() == 0.0:
            self.flush()

    def flush(self) -> None:
        """Send off what there is."""
        jobs, self._jobs, self._bytes = self._jobs, [], 0
        if jobs:
            self._sink.accept(jobs)
            self.lines.clear()
            self._told()


class Failures:
    """What was not accepted, and why."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[dict[str, object]] = []

    def report(self, place: dict[str, object], error: object) -> None:
        """Name a failure on stderr.

        :param place: such as ``{"line": 17}``.
        """
        self.count += 1
        complain(f"{' '.join(f'{name} {value}' for name, value in place.items())}: {error}")
        if len(self.listed) < MAX_LISTED:
            self.listed.append({**place, "error": str(error)})


@contextmanager
def _uninterrupted() -> Iterator[None]:
    # An interrupt between a commit and its count would make us say too few.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
