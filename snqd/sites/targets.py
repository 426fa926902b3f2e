"""Where jobs may go: the one check that everyone makes who enqueues from outside."""

from __future__ import annotations

from snqd.config.problems import did_you_mean, nearest
from snqd.config.settings import Settings
from snqd.core.errors import NoHandler
from snqd.core.names import check_queue, check_site
from snqd.sites.registry import SiteRegistry


def check_target(settings: Settings, sites: SiteRegistry, site: str, queue: str) -> None:
    """Nothing, if jobs of `site` and `queue` find a handler.

    :raises BadName: if no site or queue may be called so.
    :raises UnknownSite: if the site is not configured.
    :raises NoHandler: if nobody handles the queue, or not for this site.
    """
    found = sites.get(check_site(site))
    check_known_queue(settings, queue)
    if found.handler(queue) is None:
        raise NoHandler(f"site {site} has queue {queue} switched off, in its section handlers.{queue} = off")


def check_known_queue(settings: Settings, queue: str) -> None:
    """Nothing, if a handler is configured for `queue`.

    :raises BadName: if no queue may be called so.
    :raises NoHandler: if nobody handles it.
    """
    if check_queue(queue) not in settings.handlers:
        near = did_you_mean(nearest(queue, settings.handlers))
        raise NoHandler(f"queue {queue} has no handler: name one in [handlers] of {settings.path}{near}")
