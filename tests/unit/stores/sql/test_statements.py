"""What goes into a database's rows and comes out of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snqd.core.job import Job
from snqd.stores.sql.mariadb import CHUNK_BYTES, chunks_behind_first
from snqd.stores.sql.schema import DELAYED, READY, SOLO, SOLO_IN_HAND
from snqd.stores.sql.statements import (
    INSERTED_AT_ONCE,
    INSERTED_AT_ONCE_BYTES,
    Added,
    claimed_of,
    in_batches,
    plain_text,
    state_of,
)


def job(body: bytes = b"", **more: object) -> Job:
    return Job("id", "alpha", "q", body, **more)  # type: ignore[arg-type]


def test_a_new_job_is_ready_delayed_or_a_suspect() -> None:
    assert state_of(job()) == READY
    assert state_of(job(not_before=5.0)) == DELAYED
    assert state_of(job(solo=True)) == SOLO


def test_a_suspect_in_hand_comes_out_as_one() -> None:
    claimed = claimed_of((7, "id", "alpha", "q", "json", 1.5, 2, SOLO_IN_HAND, "killed", b"{}"), 3)
    assert (claimed.job.solo, claimed.job.reason, claimed.receipt.key, claimed.receipt.epoch) == (True, "killed", 7, 3)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_batches_keep_every_job_in_its_order_and_within_their_bytes(sizes: list[int]) -> None:
    part = INSERTED_AT_ONCE_BYTES // 2
    jobs = [job(bytes(size * part)) for size in sizes]
    batches = in_batches(jobs)
    assert [each for batch in batches for each in batch] == jobs
    assert all(len(batch) == 1 or sum(len(each.body) for each in batch) <= INSERTED_AT_ONCE_BYTES for batch in batches)


def test_batches_hold_a_thousand_jobs_at_most() -> None:
    assert [len(batch) for batch in in_batches([job()] * (2 * INSERTED_AT_ONCE + 1))] == [1000, 1000, 1]


def test_the_parts_of_a_large_body_make_it_up() -> None:
    body = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"end"
    chunks = chunks_behind_first(body)
    assert body[:CHUNK_BYTES] + b"".join(chunks) == body
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert chunks_behind_first(body[:CHUNK_BYTES]) == []


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_becomes_one_that_a_database_can_carry(text: str) -> None:
    plain = plain_text(text)
    assert "\0" not in plain
    plain.encode()


def test_nobody_is_to_be_told_of_what_was_told_already() -> None:
    assert Added({}).told
    assert not Added({"q": 5}).told
    assert not Added({}, due=5.0).told
