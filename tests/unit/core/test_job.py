"""Jobs and their ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import PayloadTooLarge
from snqd.core.job import MAX_BODY_BYTES, Job, JobIds, check_size, digest_id, follow_up_id
from snqd.core.names import check_id

ids = st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True)
numbers = st.integers(min_value=1, max_value=10**9)


def test_a_job_is_a_first_attempt_that_may_run_at_once() -> None:
    job = Job("id", "alpha", "q", b"{}")
    assert (job.attempt, job.not_before, job.solo, job.reason) == (1, 0.0, False, "")


def test_new_ids_are_valid_and_never_repeat() -> None:
    here, elsewhere = JobIds(), JobIds()
    made = [check_id(source.next()) for _ in range(1000) for source in (here, elsewhere)]
    assert len(set(made)) == 2000


@given(parent=ids, number=numbers)
def test_a_follow_ups_id_is_valid_and_the_same_at_every_attempt(parent: str, number: int) -> None:
    made = follow_up_id(parent, number)
    assert check_id(made) == follow_up_id(parent, number)
    assert made != parent


@given(parent=ids, one=numbers, other=numbers)
def test_two_follow_ups_of_one_job_differ(parent: str, one: int, other: int) -> None:
    assert (follow_up_id(parent, one) == follow_up_id(parent, other)) == (one == other)


def test_a_follow_ups_id_names_its_parent_while_it_fits() -> None:
    assert follow_up_id("job-7", 2) == "job-7.2"
    assert follow_up_id("x" * 62, 1) == "x" * 62 + ".1"
    assert "x" not in follow_up_id("x" * 63, 1)


def test_generations_of_follow_ups_keep_valid_ids_that_differ() -> None:
    made = ["job"]
    for _ in range(200):
        made.append(check_id(follow_up_id(made[-1], 1)))
    assert len(set(made)) == len(made)


@given(body=st.binary(), created=st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_digest_is_a_valid_id_and_tells_jobs_apart_by_body_and_time(body: bytes, created: str) -> None:
    made = digest_id(body, created)
    assert check_id(made) == digest_id(body, created)
    assert made != digest_id(body + b"x", created)
    assert made != digest_id(body, created + "x")


def test_a_body_may_be_as_large_as_the_limit_and_no_larger() -> None:
    body = bytes(MAX_BODY_BYTES)
    assert check_size(body) is body
    with pytest.raises(PayloadTooLarge, match=f"has {MAX_BODY_BYTES + 1} bytes, a job carries {MAX_BODY_BYTES}"):
        check_size(body + b"x")
