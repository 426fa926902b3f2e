"""Admission: whether a claimed job may be seen by a handler, by which one, and what becomes of it if not."""

from __future__ import annotations

import attrs

from snqd.core.errors import NoHandler, SnqdError, UnknownSite
from snqd.core.job import Job
from snqd.core.outcome import DeadLetter, Outcome, Retry
from snqd.core.retry import RetryPolicy
from snqd.handlers.registry import HandlerRegistry, Slot
from snqd.sites.registry import SiteRegistry
from snqd.sites.site import Site


@attrs.define
class Admitted:
    """The job runs; not frozen for its speed, but nobody changes one.

    :ivar policy: the queue's, for this site.
    :ivar slot: the handler.
    """

    site: Site
    policy: RetryPolicy
    slot: Slot


@attrs.frozen
class Refusal:
    """The job ends as `outcome` says, by `policy`, without having run.

    :ivar server: the site's, empty where that has no say in it.
    """

    outcome: Outcome
    policy: RetryPolicy
    server: str = ""


@attrs.frozen
class SiteMissing:
    """The job waits for its site, and no attempt is counted: jobs outrun their site's configuration, and outlive it."""

    reason: str


def admit(
    job: Job, sites: SiteRegistry, handlers: HandlerRegistry, policy: RetryPolicy
) -> Admitted | Refusal | SiteMissing:
    """What becomes of `job` now.

    :param policy: for jobs that no site's policy holds for.
    """
    try:
        site = sites.get(job.site)
        own = site.retry_policy(job.queue)
        if own.exhausted(job.attempt):
            reason = f"{job.reason} (attempt {job.attempt - 1} of {1 + own.max_retries})"
            return Refusal(DeadLetter(reason), own, site.server)
        return Admitted(site, own, handlers.for_site(site, job.queue))
    except UnknownSite as error:
        return SiteMissing(str(error))
    except NoHandler as error:
        return Refusal(DeadLetter(str(error)), policy)
    except SnqdError as error:  # the site's own options are wrong
        return Refusal(Retry(str(error)), policy)
