"""Jobs on their way into Redis and out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snqd.core.errors import BadName, StoreError
from snqd.core.job import Job
from snqd.stores.interface import Depth, Pauses, Receipt
from snqd.stores.redis.codec import DepthsReader, encode, encode_all, json_array, read_claim, read_pauses


def job(**more: Any) -> Job:
    return Job(**{"id": "job-1", "site": "alpha", "queue": "q", "body": b"{}", **more})


def test_a_plain_job_has_a_short_head() -> None:
    head, record = encode(job(created=1.5))
    assert record == b"job-1 json 1.5\n{}"
    assert json.loads(head) == ["q alpha", len(record)]


def test_what_is_special_about_a_job_stands_in_its_head() -> None:
    head, record = encode(job(attempt=3, not_before=7.5, solo=True, reason='a "b"\ud800'))
    place, length, due, more = json.loads(head)
    assert (place, length, due) == ("q alpha", len(record), 7.5)
    assert json.loads(more) == [3, 1, 'a "b"\ud800']


@pytest.mark.parametrize("name", [{"id": "a b"}, {"site": "a b"}, {"queue": "a b"}, {"queue": ""}])
def test_a_name_that_would_break_the_store_is_refused(name: dict[str, str]) -> None:
    with pytest.raises(BadName):
        encode(job(**name))


@pytest.mark.parametrize("time", [{"created": float("nan")}, {"not_before": float("inf")}])
def test_a_time_that_is_none_is_refused(time: dict[str, float]) -> None:
    with pytest.raises(StoreError, match="job job-1 of site alpha, queue q: its times must be finite"):
        encode(job(**time))


def test_heads_and_records_keep_their_order() -> None:
    heads, records = encode_all([job(id=f"job-{n}") for n in range(3)])
    assert [json.loads(head)[0] for head in heads] == ["q alpha"] * 3
    assert [record.split()[0] for record in records] == [b"job-0", b"job-1", b"job-2"]
    assert json.loads(json_array(heads)) == [["q alpha", 17]] * 3
    assert json_array([]) == "[]"


def test_a_claim_gives_back_jobs_as_they_were_with_the_epochs_receipts() -> None:
    jobs = [job(created=1.25, body=b"\0\n\xff"), job(id="job-2", site="beta", attempt=2, solo=True, reason="late")]
    records = [encode(each)[1] for each in jobs]
    head = {
        "cut": True,
        "due": 2.5,
        "suspects": ["r"],
        "cursors": {"q": "beta"},
        "shares": [["q alpha", [[7, len(records[0])]]], ["q beta", [[9, len(records[1]), 2, 1, "late"]]]],
    }
    reply = read_claim(json.dumps(head).encode() + b"\n" + b"".join(records), 4)
    assert [each.job for each in reply.claim.jobs] == jobs
    assert [each.receipt for each in reply.claim.jobs] == [Receipt(7, 4), Receipt(9, 4)]
    assert (reply.claim.next_due, reply.claim.suspects) == (2.5, {"r"})
    assert (reply.cursors, reply.cut) == ({"q": "beta"}, True)


def test_pauses_are_told_apart() -> None:
    assert read_pauses(b"q \n alpha\nq beta") == Pauses(
        frozenset({"q"}), frozenset({"alpha"}), frozenset({("q", "beta")})
    )
    assert read_pauses(b"") == Pauses()


def test_depths_are_put_together_from_pages() -> None:
    held = {
        "queues": ["q", "r"],
        "busy": {"q alpha": 2},
        "delayed": {"q alpha": 3, "r beta": 1},
        "solo": [["q alpha", 90.0]],
        "now": 100.0,
    }
    reader = DepthsReader(json.dumps(held).encode())
    assert reader.queues == ["q", "r"]
    assert reader.add_page("q", b'[["alpha",4,95.0],["gamma",1,null]]') == "gamma"
    assert reader.add_page("q", b"[]") is None
    assert reader.depths() == [
        Depth("q", "alpha", 5, 3, 2, 10.0),
        Depth("r", "beta", 0, 1, 0, None),
        Depth("q", "gamma", 1, 0, 0, None),
    ]
