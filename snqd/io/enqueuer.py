"""Enqueuer: the way by which I/O managers put jobs into the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from snqd.config.settings import Settings
from snqd.core.clocks import UnixTime, unix_time
from snqd.core.errors import SnqdError, UnknownSite
from snqd.core.job import Job
from snqd.sites.registry import SiteRegistry
from snqd.sites.targets import check_target
from snqd.wire.job_builder import JobBuilder


class Enqueuer:
    """Refuses what ``snqctl enqueue`` refuses.

    :param settings: gives those in force.
    :param put: puts jobs into the store; fires when they are durable.
    :param counted: told each job that the store has accepted.
    :param site_missed: called when a job's site is not configured.
    :param now: gives the time in Unix seconds.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        sites: SiteRegistry,
        put: Callable[[Sequence[Job]], Deferred[None]],
        counted: Callable[[Job], object],
        site_missed: Callable[[], object],
        now: Callable[[], UnixTime] = unix_time,
    ) -> None:
        self._settings = settings
        self._sites = sites
        self._put = put
        self._counted = counted
        self._site_missed = site_missed
        self._job_builder = JobBuilder(settings, now)

    def enqueue(self, site: str, queue: str, payload: Any, delay: float, id: str | None) -> Deferred[str]:
        """See :meth:`snqd.io.context.IoContext.enqueue`."""
        try:
            job = self._checked(site, queue, payload, delay, id)
        except (SnqdError, ValueError, TypeError):
            return fail()
        return self._put([job]).addCallback(lambda _: self._accepted(job))

    def _checked(self, site: str, queue: str, payload: Any, delay: float, id: str | None) -> Job:
        job = self._job_builder.job(site, queue, payload, delay, id)
        try:
            check_target(self._settings(), self._sites, site, queue)
        except UnknownSite:
            self._site_missed()
            raise
        return job

    def _accepted(self, job: Job) -> str:
        self._counted(job)
        return job.id


def no_queue(settings: Callable[[], Settings]) -> Callable[[Sequence[Job]], Deferred[None]]:
    """What stands in for a store where ``[queue] enabled = no``."""

    def refuse(jobs: Sequence[Job]) -> Deferred[None]:
        return fail(SnqdError(f"no job can be enqueued: {settings().path} says [queue] enabled = no"))

    return refuse
