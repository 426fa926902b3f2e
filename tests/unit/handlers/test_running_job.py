import math

import pytest

from snqd.core.errors import BadName, BadPayload, NoHandler, PayloadTooLarge, UnknownSite
from snqd.core.job import JSON, MAX_BODY_BYTES, PHP, Job

from .doubles import NOW, SITE, running_job


def test_a_job_shows_its_handler_what_it_needs_to_know():
    job = running_job(b'{"id": 7}')
    assert (job.id, job.site, job.queue, job.attempt, job.created) == ("job-1", SITE, "thumbnails", 2, 1.5)
    assert job.payload == {"id": 7}


def test_the_payload_is_decoded_once():
    job = running_job(b'{"id": 7}')
    assert job.payload is job.payload


def test_a_null_payload_is_decoded_once_too():
    job = running_job(b"null")
    assert job.payload is None
    assert job.payload is None


def test_a_php_payload_is_decoded_as_php():
    assert running_job(b'a:1:{s:2:"id";i:7;}', PHP).payload == {"id": 7}


def test_a_payload_that_cannot_be_decoded_says_so_when_asked_for():
    job = running_job(b"{")
    with pytest.raises(BadPayload):
        _ = job.payload


def test_follow_ups_derive_their_ids_from_the_job_and_their_number():
    job = running_job()
    job.enqueue("notify", {"id": 7})
    job.enqueue("notify", [1])
    assert job.follow_ups == [
        Job("job-1.1", "alpha", "notify", b'{"id":7}', JSON, NOW),
        Job("job-1.2", "alpha", "notify", b"[1]", JSON, NOW),
    ]


def test_a_follow_up_may_wait_and_belong_to_another_site():
    job = running_job()
    job.enqueue("notify", 1, delay=60, site="other")
    assert (job.follow_ups[0].site, job.follow_ups[0].not_before) == ("other", NOW + 60)


@pytest.mark.parametrize("error", [UnknownSite("no such site"), NoHandler("no such queue")])
def test_a_follow_up_that_may_not_go_there_is_refused_at_once(error):
    def check_target(site, queue):
        assert (site, queue) == ("alpha", "notify")
        raise error

    job = running_job(check_target=check_target)
    with pytest.raises(type(error)):
        job.enqueue("notify", 1)
    assert job.follow_ups == []


@pytest.mark.parametrize(("queue", "site"), [("no/queue", None), ("notify", "no site"), ("", None), ("notify", "")])
def test_bad_names_are_refused(queue, site):
    job = running_job()
    with pytest.raises(BadName):
        job.enqueue(queue, 1, site=site)


def test_a_payload_that_json_cannot_carry_is_refused():
    with pytest.raises(BadPayload):
        running_job().enqueue("notify", {"when": object()})


def test_a_payload_that_is_too_large_is_refused():
    with pytest.raises(PayloadTooLarge):
        running_job().enqueue("notify", "x" * MAX_BODY_BYTES)


@pytest.mark.parametrize("delay", [-1, math.inf, math.nan])
def test_a_delay_that_is_none_is_refused(delay):
    with pytest.raises(ValueError, match="number of seconds"):
        running_job().enqueue("notify", 1, delay=delay)


def test_nothing_can_be_enqueued_once_the_job_has_ended():
    job = running_job()
    job.ended = True
    with pytest.raises(RuntimeError, match="job-1 has ended"):
        job.enqueue("notify", 1)
