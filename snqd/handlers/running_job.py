"""RunningJob: a job as its handler sees it; it keeps the jobs that the handler enqueues until the outcome is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from snqd.core.clocks import UnixTime
from snqd.core.job import JSON, Job, check_size, follow_up_id
from snqd.core.names import check_queue, check_site
from snqd.wire import payload as wire

if TYPE_CHECKING:
    from snqd.sites.site import Site

_UNDECODED: Any = object()


@attrs.frozen
class JobContext:
    """What jobs of one process have in common.

    :ivar check_target: called with site and queue of a follow-up; raises UnknownSite or NoHandler where no job may
    go. :ivar now: the date. :ivar check_body: called with a follow-up's payload in JSON; raises
    BadPayload or PayloadTooLarge where the store can't carry it.
    """

    check_target: Callable[[str, str], object]
    now: Callable[[], UnixTime]
    check_body: Callable[[bytes], object] = lambda body: None


class RunningJob:
    """The job that a handler works on.

    :ivar site: the :class:`~snqd.sites.site.Site` on whose behalf the handler works.
    :ivar follow_ups: what the handler has enqueued; it counts only if this job is acknowledged.
    :ivar ended: whether the outcome is known; nothing can be enqueued from then on.
    """

    __slots__ = ("_job", "_payload", "_surroundings", "ended", "follow_ups", "site")

    def __init__(self, job: Job, site: Site, surroundings: JobContext) -> None:
        self._job = job
        self._payload = _UNDECODED
        self._surroundings = surroundings
        self.site = site
        self.follow_ups: list[Job] = []
        self.ended = False

    @property
    def id(self) -> str:
        """The job's id, the same at every attempt."""
        return self._job.id

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._job.queue

    @property
    def attempt(self) -> int:
        """The number of this attempt; the first is 1."""
        return self._job.attempt

    @property
    def created(self) -> float:
        """When the job was enqueued, in Unix seconds."""
        return self._job.created

    @property
    def payload(self) -> Any:
        """The payload, decoded once and when first asked for.

        :raises BadPayload: if it can't be; unless the handler catches it, the job becomes a dead letter.
        """
        if self._payload is _UNDECODED:
            self._payload = wire.decode(self._job.body, self._job.encoding)
        return self._payload

    def time(self) -> float:
        """The time now, in Unix seconds; `reactor.seconds()` is no date."""
        return self._surroundings.now()

    def enqueue(self, queue: str, payload: Any, delay: float = 0, site: str | None = None) -> None:
        """Enqueue a follow-up job: it exists if and only if this job is acknowledged, once however often this job runs.

        :param payload: anything that JSON can carry.
        :param delay: seconds until it may run.
        :param site: nickname of another site.
        :raises BadName, UnknownSite, NoHandler: if there is no such queue or site.
        :raises BadPayload, PayloadTooLarge: if a job can't carry the payload.
        :raises ValueError: if `delay` is negative or no number.
        :raises RuntimeError: if this job has ended.
        """
        if self.ended:
            raise RuntimeError(f"job {self.id} has ended: enqueue follow-ups before its handler returns")
        if not (math.isfinite(delay) and delay >= 0):
            raise ValueError(f"a follow-up's delay must be a number of seconds, 0 or more, not {delay}")
        target = check_site(site if site is not None else self._job.site)
        self._surroundings.check_target(target, check_queue(queue))
        body = check_size(wire.encode(payload))
        self._surroundings.check_body(body)
        self.follow_ups.append(self._follow_up(target, queue, body, delay))

    def _follow_up(self, site: str, queue: str, body: bytes, delay: float) -> Job:
        now = self._surroundings.now()
        number = len(self.follow_ups) + 1
        not_before = now + delay if delay else 0.0
        return Job(follow_up_id(self.id, number), site, queue, body, JSON, now, not_before=not_before)
