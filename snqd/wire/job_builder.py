"""JobBuilder: makes the jobs of programs and I/O managers that enqueue."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from snqd.config.settings import Settings
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.errors import SnqdError
from snqd.core.job import JSON, Job, JobIds, check_size
from snqd.core.names import check_id, check_queue, check_site
from snqd.wire.own import check_body
from snqd.wire.payload import encode


class JobBuilder:
    """Makes jobs of what a program asks for, and refuses what no job may be.

    :param settings: gives those in force.
    :param now: gives the time in Unix seconds.
    """

    def __init__(self, settings: Callable[[], Settings], now: Callable[[], UnixTime] = unix_time) -> None:
        self._settings = settings
        self._now = now
        self._ids = JobIds()

    def job(self, site: str, queue: str, payload: Any, delay: float = 0.0, id: str | None = None) -> Job:
        """A new job.

        :param delay: seconds before it may run.
        :param id: ASCII letters, digits, ``.`` and ``-``, at most 64; a new one by default.
        :raises BadName: if nothing can be called so.
        :raises BadPayload, PayloadTooLarge: if a job can't carry the payload.
        :raises ValueError: if `delay` is negative or no number.
        """
        settings = self._settings()
        if not (math.isfinite(delay) and delay >= 0):
            raise ValueError(f"delay must be a number of seconds, 0 or more, not {delay}")
        if delay and not settings.queue.enabled:
            raise SnqdError(f"a delay needs a queue, and {settings.path} says [queue] enabled = no")
        check_site(site)
        check_queue(queue)
        job_id = self._ids.next() if id is None else check_id(id)
        now = self._now()
        body = check_size(encode(payload))
        check_body(body, JSON, settings.queue.wire_of_jobs)
        return Job(job_id, site, queue, body, created=now, not_before=now + delay if delay else 0.0)
