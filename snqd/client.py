"""The queue for programs that only enqueue: :func:`connect` for any, :func:`connect_async` for those on Twisted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import attrs

from snqd.config.settings import Settings
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.errors import NoHandler, SnqdError, StoreUnavailable, Unconfirmed, UnknownSite
from snqd.core.job import Job
from snqd.sites.live_targets import LiveTargets
from snqd.stores.factory import subsystem_of
from snqd.wire.job_builder import JobBuilder

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class NotAcknowledged(SnqdError):
    """The job ran at once, since ``[queue] enabled = no``, and failed; no queue keeps it."""


def connect(path: str | os.PathLike[str]) -> Queue:
    """The queue of a configuration such as ``etc/snq.ini``.

    Sites and queues that come and go later are noticed: new ones when their first job comes, the rest within seconds.

    :raises ConfigError: if the configuration is wrong.
    """
    return Queue(LiveTargets(Path(path)))


def connect_async(reactor: Any, path: str | os.PathLike[str]) -> AsyncQueue:
    """The same with Deferreds. The configuration is read at once, blocking.

    :raises ConfigError: if it is wrong.
    """
    return AsyncQueue(reactor, LiveTargets(Path(path)))


class Queue:
    """Enqueues, blocking until each job is durable; for any number of threads, and for processes forked later.

    With ``[queue] enabled = no`` a job runs at once in a process of its own, and enqueueing ends with it.
    Opened by the first job; made by :func:`connect`.
    """

    def __init__(self, targets: LiveTargets, now: Callable[[], UnixTime] = unix_time) -> None:
        self._targets = targets
        self._now = now
        self._settings = targets.settings  # the store stays what it was
        self._inherited: list[_Store | _AtOnce] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._job_builder = JobBuilder(lambda: self._settings, self._now)
        self._outlet = _outlet(self._settings)

    def enqueue(self, site: str, queue: str, payload: Any, delay: float = 0.0, id: str | None = None) -> str:
        """Put a job on `queue` of `site`; returns its id once it is durable. See :meth:`JobBuilder.job`.

        :raises UnknownSite, NoHandler: if no job can go there, the files having been looked at again.
        :raises Unconfirmed: if the store may have it, or a broker may take it later: repeat it, if at all, with the
            same `id`.
        :raises StoreError: if the store can't keep it.
        :raises NotAcknowledged: if it ran at once and failed.
        """
        return self.enqueue_many([(site, queue, payload, delay, id)])[0]

    def enqueue_many(self, jobs: Iterable[Sequence[Any]]) -> list[str]:
        """Put many jobs on their queues in one transaction, all or none; returns their ids once they are durable.

        Most brokers take them one by one; where an answer is lost, :class:`~snqd.core.errors.Unconfirmed` says which
        are accepted and which may be.

        :param jobs: each as the arguments of :meth:`enqueue`: ``("alpha", "thumbnails", {"image": 5})``. They are all
            kept in memory: a million is better given some thousands at a time.
        """
        self._check_fork()
        made = [self._job_builder.job(*each) for each in jobs]
        if made:
            self._check_targets(made)
            self._put(made)
        return [job.id for job in made]

    def close(self) -> None:
        """Let go of the store; the next job would open it again."""
        with self._lock:
            self._outlet.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _check_targets(self, jobs: Sequence[Job]) -> None:
        try:
            self._targets.check(jobs)
        except (UnknownSite, NoHandler):
            self._targets.look(missed=True)
        else:
            if not self._targets.due:
                return
            self._targets.look(missed=False)
        self._targets.check(jobs)

    def _put(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._outlet.put(jobs)

    def _check_fork(self) -> None:
        # A database's connections, locks that another thread held, and the prefix of ids belong to the parent alone.
        if os.getpid() != self._pid:
            self._inherited.append(self._outlet)  # its end would let go of the parent's file locks, or end its session
            self._targets.begin_in_fork()
            self._begin()


class AsyncQueue:
    """What :class:`Queue` does, in a thread of its own; what comes during one commit goes with the next.

    Closes itself when the reactor stops.
    """

    def __init__(self, reactor: Any, targets: LiveTargets) -> None:
        from snqd.stores.writer_thread import MAX_ITEMS, WriterThread

        self._targets = targets
        settings = targets.settings  # the store stays what it was
        self._job_builder = JobBuilder(lambda: settings)
        self._outlet = _outlet(settings)
        # Jobs that run at once fail one by one.
        at_once = MAX_ITEMS if targets.settings.queue.enabled else 1
        self._thread: WriterThread[_EnqueueCall] = WriterThread(reactor, self._write, "snqd enqueue", at_once)
        # What is missed during one look is found by the next.
        self._looks: WriterThread[bool] = WriterThread(reactor, self._look, "snqd sites")
        self._closing: Deferred[None] | None = None
        reactor.addSystemEventTrigger("before", "shutdown", self.close)

    def enqueue(self, site: str, queue: str, payload: Any, delay: float = 0.0, id: str | None = None) -> Deferred[str]:
        """Put a job on `queue` of `site`; fires with its id once it is durable, or fails like :meth:`Queue.enqueue`."""
        return self.enqueue_many([(site, queue, payload, delay, id)]).addCallback(lambda ids: ids[0])

    def enqueue_many(self, jobs: Iterable[Sequence[Any]]) -> Deferred[list[str]]:
        """Put many jobs on their queues, all or none; see :meth:`Queue.enqueue_many`."""
        from twisted.internet.defer import fail, succeed

        try:
            made = [self._job_builder.job(*each) for each in jobs]
        except (SnqdError, ValueError):
            return fail()
        if not made:
            return succeed([])
        try:
            self._targets.check(made)
        except (UnknownSite, NoHandler):
            return self._looks.submit(True).addCallback(lambda _: self._submit_known(made))
        if self._targets.due:
            self._looks.submit(False)
        return self._submit(made)

    def _submit_known(self, made: Sequence[Job]) -> Deferred[list[str]]:
        self._targets.check(made)
        return self._submit(made)

    def _submit(self, made: Sequence[Job]) -> Deferred[list[str]]:
        asked = _EnqueueCall(made)
        return self._thread.submit(asked).addCallback(lambda _: asked.answer())

    def close(self) -> Deferred[None]:
        """Finish what is under way and let go of the store; fires then."""
        if self._closing is None:
            self._closing = self._looks.close()
            self._closing.addCallback(lambda _: self._thread.close()).addCallback(lambda _: self._outlet.close())
        from twisted.internet.defer import Deferred

        closed: Deferred[None] = Deferred()
        self._closing.chainDeferred(closed)
        return closed

    def _look(self, missed: Sequence[bool]) -> None:
        self._targets.look(any(missed))

    def _write(self, together: Sequence[_EnqueueCall]) -> None:
        """Put them into the store; what is wrong with the jobs of one caller is no other's business."""
        try:
            self._outlet.put([job for asked in together for job in asked.jobs])
        except Unconfirmed as error:
            for asked in together:
                asked.error = error.of([job.id for job in asked.jobs])
        except StoreUnavailable:
            raise  # for all of them
        except SnqdError:
            if len(together) == 1:
                raise
            for asked in together:
                self._write_alone(asked)

    def _write_alone(self, asked: _EnqueueCall) -> None:
        try:
            self._write([asked])
        except SnqdError as error:
            asked.error = error


@attrs.define(eq=False)
class _EnqueueCall:
    """What one caller wants to be enqueued, and what was wrong with it."""

    jobs: Sequence[Job]
    error: SnqdError | None = None

    def answer(self) -> list[str]:
        """The ids of the jobs; raises the error."""
        if self.error is not None:
            raise self.error
        return [job.id for job in self.jobs]


class _Store:
    """The store."""

    def __init__(self, settings: Settings) -> None:
        self._queue = subsystem_of(settings).blocking_queue()

    def put(self, jobs: Sequence[Job]) -> None:
        self._queue.enqueue(jobs)

    def close(self) -> None:
        self._queue.close()


class _AtOnce:
    """``[queue] enabled = no``: each job runs in a ``snqctl run`` of its own, for handlers may want a reactor."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path

    def put(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._run(job)

    def close(self) -> None:
        """There is nothing to close."""

    def _run(self, job: Job) -> None:
        command = [sys.executable, "-m", "snqd.snqctl.main", "--config", str(self._path), "run", "--id", job.id]
        ran = subprocess.run(
            [*command, job.site, job.queue, "-"],
            input=job.body,
            capture_output=True,
            # Handlers are looked for where this program finds its own modules.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
        if ran.returncode:
            raise NotAcknowledged(ran.stderr.decode(errors="replace").strip() or f"exit code {ran.returncode}")


def _outlet(settings: Settings) -> _Store | _AtOnce:
    return _Store(settings) if settings.queue.enabled else _AtOnce(settings)
