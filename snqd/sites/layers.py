"""Layers: the daemon's settings with what one site says over them.

A site's keys overlay the daemon's of the same name, and only then does the narrower key win over the wider. So the
first that is set counts of: the site's ``handler:QUEUE.max_retries``, the daemon's ``[handler:QUEUE] max_retries``, the
site's ``queue.max_retries``, the daemon's ``[queue] max_retries``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from snqd.config.schema import HANDLER, SITE
from snqd.config.settings import HandlerSettings
from snqd.core.retry import RetryPolicy

_RETRY_KEYS = {"queue.max_retries": "max_retries", "queue.retry_delay": "delay", "queue.retry_max_delay": "max_delay"}


def layered_retry(daemon: RetryPolicy, overrides: Mapping[str, str]) -> RetryPolicy:
    """``[queue]``'s policy with the site's ``queue.KEY`` over it; the daemon's own record where there is none.

    :param overrides: of the site, as :class:`~snqd.config.settings.SiteSettings` has them.
    """
    changes = {field: SITE.by_name[key].read(overrides[key]) for key, field in _RETRY_KEYS.items() if key in overrides}
    return attrs.evolve(daemon, **changes) if changes else daemon


def layered_handler(
    daemon: HandlerSettings, daemon_retry: RetryPolicy, site_retry: RetryPolicy, own: Mapping[str, str]
) -> HandlerSettings:
    """One queue's handler with what a site says over it; the daemon's own record where it says nothing.

    :param daemon_retry: ``[queue]``'s policy.
    :param site_retry: the same as :func:`layered_retry` made it for the site.
    :param own: the KEYs of the site's ``handler:QUEUE.KEY``, as text.
    """
    if not own and site_retry is daemon_retry:
        return daemon
    values: dict[str, Any] = {
        key: HANDLER.by_name[key].read(text) for key, text in own.items() if key in HANDLER.by_name
    }
    options = {key: text for key, text in own.items() if key not in HANDLER.by_name}
    return attrs.evolve(
        daemon,
        options={**daemon.options, **options} if options else daemon.options,
        **{**_wider_retry(daemon, site_retry), **values},
    )


def _wider_retry(daemon: HandlerSettings, site_retry: RetryPolicy) -> dict[str, Any]:
    """What the site's other queues have, but for what ``[handler:QUEUE]`` sets itself."""
    return {
        "max_retries": daemon.max_retries if daemon.sets("max_retries") else site_retry.max_retries,
        "retry_delay": daemon.retry_delay if daemon.sets("retry_delay") else site_retry.delay,
        "retry_max_delay": site_retry.max_delay,
    }
