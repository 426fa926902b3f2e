"""Which jobs rows of queue_item become."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from snqd.core.errors import PayloadTooLarge
from snqd.core.job import MAX_BODY_BYTES, PHP
from snqd.gnusocial.queue_item_jobs import job_of, letter_of
from snqd.gnusocial.queue_item_tables import ItemTable, QueueItem
from snqd.wire.payload import decode

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "gnusocial120-db").iterdir())
TABLE = ItemTable("peer", "gs_peer", ("distrib",))


def item(frame: bytes = b"i:1;", **more: Any) -> QueueItem:
    row = {"table": TABLE, "id": 7, "transport": "distrib", "created": "2026-11-24 09:00:00", "created_at": 1.5}
    return QueueItem(**{**row, "frame": frame, **more})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_captured_frames_are_payloads_as_they_are(sample: Path) -> None:
    job = job_of(item(sample.read_bytes()))
    assert (job.site, job.queue, job.encoding, job.created) == ("peer", "distrib", PHP, 1.5)
    assert job.body == sample.read_bytes()
    assert decode(job.body, job.encoding) is not None


def test_a_row_is_the_same_job_each_time_and_no_other_rows() -> None:
    rows = [
        item(),
        item(id=8),
        item(created="2026-11-24 09:00:01"),
        item(b"i:2;"),
        item(table=ItemTable("other", "gs_other", ("distrib",))),
    ]
    assert job_of(rows[0]).id == job_of(item()).id
    assert len({job_of(row).id for row in rows}) == len(rows)


@pytest.mark.parametrize("payload", [b"i:12345;", b'O:8:"stdClass":1:{s:1:"n";i:1;}', b'a:1:{i:0;s:2:"\xff\0";}'])
def test_base64_around_a_frame_is_taken_off(payload: bytes) -> None:
    assert job_of(item(base64.b64encode(payload))).body == payload
    assert job_of(item(base64.encodebytes(payload))).body == payload


@pytest.mark.parametrize("frame", [b"1234", b"", b"N;", b"abcde", b"<message/>"])
def test_what_only_looks_like_base64_stays(frame: bytes) -> None:
    assert job_of(item(frame)).body == frame


def test_what_no_job_can_carry_is_a_dead_letter_with_all_its_bytes() -> None:
    row = item(b"x" * (MAX_BODY_BYTES + 1))
    with pytest.raises(PayloadTooLarge):
        job_of(row)
    letter = letter_of(row, "why")
    assert (letter.site, letter.queue, letter.body, letter.reason) == ("peer", "distrib", row.frame, "why")
