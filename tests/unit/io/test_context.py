"""What an I/O manager may use of its child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from snqd.core.errors import BadName, BadPayload, NoHandler, PayloadTooLarge, SnqdError, StoreUnavailable, UnknownSite
from snqd.io import IoContext
from snqd.io.enqueuer import no_queue
from tests.unit.io.services import TEXT, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def context(desk: Desk) -> IoContext:
    return IoContext(desk.services, "m")


def outcome(waiting: Deferred[Any]) -> Any:
    results: list[Any] = []
    waiting.addBoth(results.append)
    return results[0] if results else None


def test_a_job_is_enqueued_and_counted_once_the_store_has_it(desk: Desk, context: IoContext) -> None:
    desk.answer = Deferred()
    waiting = context.enqueue("alpha", "mail", {"to": "ada"})
    (job,) = desk.stored
    assert (job.site, job.queue, job.body, job.created, job.not_before) == (
        "alpha",
        "mail",
        b'{"to":"ada"}',
        1700000000.0,
        0.0,
    )
    assert not waiting.called
    assert desk.counted == []
    desk.answer.callback(None)
    assert outcome(waiting) == job.id
    assert desk.counted == [job]


def test_a_job_can_have_a_delay_and_an_id_of_its_own(desk: Desk, context: IoContext) -> None:
    assert outcome(context.enqueue("alpha", "mail", 1, delay=5, id="feed-7")) == "feed-7"
    assert (desk.stored[0].id, desk.stored[0].not_before) == ("feed-7", 1700000005.0)


def test_each_job_has_another_id(context: IoContext) -> None:
    assert outcome(context.enqueue("alpha", "mail", 1)) != outcome(context.enqueue("alpha", "mail", 1))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("no such", "mail", 1), BadName),
        (("alpha", "no/queue", 1), BadName),
        (("alpha", "mail", 1, 0, "no id!"), BadName),
        (("gamma", "mail", 1), UnknownSite),
        (("alpha", "mial", 1), NoHandler),
        (("alpha", "mail", {1, 2}), BadPayload),
        (("alpha", "mail", "x" * 17_000_000), PayloadTooLarge),
        (("alpha", "mail", 1, -1), ValueError),
        (("alpha", "mail", 1, float("nan")), ValueError),
        (("alpha", "mail", 1, "soon"), TypeError),
        ((None, "mail", 1), TypeError),
    ],
)
def test_what_no_job_can_be_is_refused(desk: Desk, context: IoContext, call: Any, error: type[Exception]) -> None:
    failure = outcome(context.enqueue(*call))
    assert isinstance(failure, Failure)
    assert failure.check(error)
    assert desk.stored == []


def test_a_queue_that_the_site_has_switched_off_is_refused(desk: Desk, context: IoContext) -> None:
    desk.reload(TEXT + "handlers.mail = off\n")
    assert outcome(context.enqueue("beta", "mail", 1)).check(NoHandler)


def test_a_site_that_is_missing_is_looked_up_again(desk: Desk, context: IoContext) -> None:
    outcome(context.enqueue("gamma", "mail", 1))
    assert desk.missed == 1
    outcome(context.enqueue("alpha", "mial", 1))
    assert desk.missed == 1


def test_what_the_store_refuses_is_not_counted(desk: Desk, context: IoContext) -> None:
    desk.answer = fail(StoreUnavailable("disk full"))
    assert outcome(context.enqueue("alpha", "mail", 1)).check(StoreUnavailable)
    assert desk.counted == []


def test_without_a_queue_there_is_nothing_to_enqueue_to(desk: Desk) -> None:
    failure = outcome(no_queue(lambda: desk.settings)([]))
    assert failure.check(SnqdError)
    assert failure.getErrorMessage() == "no job can be enqueued: /etc/snq.ini says [queue] enabled = no"


def test_the_configuration_is_that_in_force(desk: Desk, context: IoContext) -> None:
    assert context.config("app:feeds", "url") is None
    desk.reload(TEXT + "[site:gamma]\n[app:feeds]\nurl = http://feeds\n")
    assert context.config("app:feeds", "url") == "http://feeds"
    assert "gamma" in context.sites
    assert context.state_dir == Path("/etc/state")


def test_a_report_is_kept_under_the_managers_name_until_its_end(desk: Desk, context: IoContext) -> None:
    context.report({"seen": 1})
    assert desk.services.reports.latest == {"m": {"seen": 1}}
    context.close()
    assert desk.services.reports.latest == {}
