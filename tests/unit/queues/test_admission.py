"""What becomes of a claimed job before any handler sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from snqd.config.load import load
from snqd.config.sources import Sources
from snqd.core.job import Job
from snqd.core.outcome import DeadLetter, Retry
from snqd.core.retry import RetryPolicy
from snqd.handlers import QueueHandler
from snqd.handlers.registry import HandlerRegistry
from snqd.queues.admission import Admitted, Refusal, SiteMissing, admit
from snqd.sites.registry import SiteRegistry

CONFIG = f"""
[queue]
max_retries = 2
[handlers]
work = {__name__}.Work
[site:alpha]
server = alpha.example
[site:beta]
handlers.work = off
[site:gamma]
handler:work.size = wrong
"""
POLICY = RetryPolicy()
JOB = Job("j", "alpha", "work", b"null", created=0.0)


class Work(QueueHandler):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        if "size" in settings.options:
            raise ValueError("size must be a number")


def admitted(**changes: Any) -> Admitted | Refusal | SiteMissing:
    path = Path("/etc/snq.ini")
    settings = load(Sources(path, {str(path): CONFIG}), plugins={})
    handlers = HandlerRegistry(Clock(), settings.handlers)
    handlers.load()
    return admit(attrs.evolve(JOB, **changes), SiteRegistry(settings), handlers, POLICY)


def test_a_job_runs_in_its_sites_handler_by_its_policy() -> None:
    found = admitted(attempt=3)
    assert isinstance(found, Admitted)
    assert (found.site.nickname, found.policy.max_retries, type(found.slot.handler)) == ("alpha", 2, Work)


def test_the_last_attempt_was_the_one_before() -> None:
    found = admitted(attempt=4, reason="it hung")
    assert isinstance(found, Refusal)
    assert (found.outcome, found.server) == (DeadLetter("it hung (attempt 3 of 3)"), "alpha.example")


def test_a_job_of_an_unknown_site_waits() -> None:
    found = admitted(site="nowhere")
    assert isinstance(found, SiteMissing)
    assert "nowhere" in found.reason


@pytest.mark.parametrize(("site", "queue"), [("alpha", "other"), ("beta", "work")])
def test_a_job_that_nobody_handles_is_a_dead_letter(site: str, queue: str) -> None:
    found = admitted(site=site, queue=queue)
    assert isinstance(found, Refusal)
    assert isinstance(found.outcome, DeadLetter)
    assert found.policy is POLICY


def test_a_site_whose_options_are_wrong_may_mend_them() -> None:
    found = admitted(site="gamma")
    assert isinstance(found, Refusal)
    assert isinstance(found.outcome, Retry)
    assert "size must be a number" in found.outcome.reason
