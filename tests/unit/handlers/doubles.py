"""What the tests of handlers share: settings, sites and jobs with only what the test cares about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from snqd.config.load import load
from snqd.config.settings import HandlerSettings, SiteSettings
from snqd.config.sources import Sources
from snqd.core.job import JSON, Job
from snqd.handlers import QueueHandler
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.sites.site import Site

WHERE = "/etc/snq.ini:7: [handlers] thumbnails"
NOW = 1_700_000_000.0


def settings(**values: Any) -> HandlerSettings:
    complete = {"queue": "thumbnails", "target": "", "where": WHERE} | values
    return HandlerSettings(**complete)


def site(nickname: str = "alpha", *handlers: HandlerSettings, overrides: dict[str, str] | None = None) -> Site:
    defaults = load(Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": ""}), plugins={})
    known = attrs.evolve(defaults, handlers={handler.queue: handler for handler in handlers})
    return Site(SiteSettings(nickname, "/etc/snq.ini", overrides or {}, server="alpha.test", name="Alpha"), known)


SITE = site()


def running_job(
    body: bytes = b"null",
    encoding: str = JSON,
    check_target: Callable[[str, str], object] = lambda site, queue: None,
    **values: Any,
) -> RunningJob:
    complete = {"id": "job-1", "site": "alpha", "queue": "thumbnails", "created": 1.5, "attempt": 2} | values
    return RunningJob(Job(body=body, encoding=encoding, **complete), SITE, JobContext(check_target, lambda: NOW))


def handler(handle: Callable[[RunningJob], Any], **values: Any) -> QueueHandler:
    """A handler whose handle() is that function."""
    made = QueueHandler(settings(**values))
    made.handle = handle  # type: ignore[method-assign]
    return made
