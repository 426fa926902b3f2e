"""Jobs as messages, and back."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.config.values import PHP_BASE64
from snqd.core.errors import BadPayload
from snqd.core.job import JSON, PHP, Job, digest_id
from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame
from snqd.stores.stomp import message
from snqd.wire.envelope import open_envelope

JOB = Job("job-1", "alpha", "thumbs", b'{"id": 7}', created=1700000000.25)


def came_back(job: Job) -> Job:
    headers, body = message.write(job)
    encode("SEND", {"destination": "/queue/a", **headers}, body)  # can be said
    return message.read(Frame("MESSAGE", headers, body), 5.0)


def test_a_message_has_what_operators_look_for() -> None:
    headers, body = message.write(JOB)
    assert headers == {"persistent": "true", "snq-id": "job-1", "snq-created": "1700000000.25"}
    assert json.loads(body) == {"site": "alpha", "queue": "thumbs", "payload": {"id": 7}}


@pytest.mark.parametrize(("encoding", "wire"), [(PHP, JSON), (JSON, PHP), (JSON, PHP_BASE64)])
def test_where_php_may_read_a_message_it_finds_when_the_job_was_created(encoding: str, wire: str) -> None:
    job = Job("job-1", "alpha", "thumbs", b"7", encoding, created=1700000000.25)
    assert message.write(job, wire=wire)[0]["created"] == "2023-11-14 22:13:20"


def test_other_programs_may_give_a_job_its_id() -> None:
    headers = {"snq-id": "theirs", "created": "2026-11-24 05:00:00"}
    job = message.read(Frame("MESSAGE", headers, message.write(JOB)[1]), 5.0)
    assert (job.id, job.created) == ("theirs", 1795496400.0)


def test_what_php_wrote_stays_php() -> None:
    _, body = message.write(Job("job-1", "alpha", "thumbs", b"i:7;", PHP))
    envelope = open_envelope(body)
    assert envelope is not None
    assert (envelope.site, envelope.queue, envelope.payload) == ("alpha", "thumbs", b"i:7;")


@pytest.mark.parametrize("wire", [PHP, PHP_BASE64])
def test_own_jobs_are_written_as_php_does_where_its_daemons_read_along(wire: str) -> None:
    headers, body = message.write(JOB, wire=wire)
    written = b64decode(body) if wire == PHP_BASE64 else body
    assert written == (
        b'a:3:{s:4:"site";s:5:"alpha";s:7:"handler";s:6:"thumbs";s:7:"payload";s:19:"a:1:{s:2:"id";i:7;}";}'
    )
    job = message.read(Frame("MESSAGE", headers, body), 5.0)
    assert (job.id, job.created, job.body, job.encoding) == ("job-1", 1700000000.25, b'a:1:{s:2:"id";i:7;}', PHP)


@pytest.mark.parametrize("wire", [PHP, PHP_BASE64])
def test_what_php_wrote_stays_byte_for_byte_on_every_wire(wire: str) -> None:
    job = Job("job-1", "alpha", "q", b"12345", PHP, created=1.0)
    headers, body = message.write(job, wire=wire)
    assert message.read(Frame("MESSAGE", headers, body), 5.0) == job


@given(
    st.binary(),
    st.sampled_from([JSON, PHP]),
    st.integers(1, 1000),
    st.floats(1e6, 1e10),
    st.one_of(st.just(0.0), st.floats(1e6, 1e10)),
    st.booleans(),
)
def test_a_job_comes_back_as_it_was(
    body: bytes, encoding: str, attempt: int, created: float, not_before: float, solo: bool
) -> None:
    job = Job("job-1", "alpha", "q", body, encoding, created, attempt, not_before, solo)
    assert came_back(job) == job


@given(st.text(st.characters(), max_size=2000))
def test_any_reason_can_be_said_and_is_cut(reason: str) -> None:
    job = came_back(Job("job-1", "alpha", "q", b"1", created=1.0, reason=reason))
    assert len(job.reason) <= message.MAX_REASON_CHARS * 10
    assert reason.startswith(job.reason[:1].replace("\ufffd", reason[:1]).replace("\\", reason[:1]))


def test_a_job_without_an_id_gets_the_digest_of_its_body_and_creation() -> None:
    body = b'a:3:{s:4:"site";s:5:"alpha";s:7:"handler";s:4:"ping";s:7:"payload";s:4:"i:7;";}'
    job = message.read(Frame("MESSAGE", {"created": " 2026-11-24 05:00:00"}, body), 5.0)
    assert job.id == digest_id(body, "2026-11-24 05:00:00")
    assert (job.site, job.queue, job.body, job.encoding) == ("alpha", "ping", b"i:7;", PHP)
    assert job.created == 1795496400.0


def test_a_message_without_creation_is_created_now() -> None:
    assert message.read(Frame("MESSAGE", {"created": "yesterday"}, message.write(JOB)[1]), 5.0).created == 5.0


def test_a_death_that_was_counted_is_named() -> None:
    assert message.write(JOB, "child-7")[0][message.ACCUSED] == "child-7"


BAD = [
    (b"what is this", {}, "no envelope"),
    (b'{"site": "alpha"}', {}, "no envelope"),
    (b"[1]", {}, "no envelope"),
    (b'{"site": 1, "queue": "q", "payload": 2}', {}, "must be text"),
    (b'{"site":"../x","queue":"q","payload":2}', {}, "no site name"),
    (b'{"site":"alpha","queue":"q","payload":2}', {"snq-id": "a b"}, "no job id"),
    (b'a:3:{s:4:"site";s:5:"alpha";s:7:"hand', {}, "the envelope is broken"),
    (b'a:2:{i:0;s:1:"q";i:1;i:7;}', {}, "names no site"),
    (b"[" * 100_000, {}, "no envelope"),
]


@pytest.mark.parametrize(("body", "headers", "reason"), BAD, ids=range(len(BAD)))
def test_what_is_no_job_is_refused_with_a_reason(body: bytes, headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadPayload, match=reason):
        message.read(Frame("MESSAGE", headers, body), 5.0)


NUMBERS = [
    ("snq-attempt", "x"),
    ("snq-attempt", "-1"),
    ("snq-attempt", "0"),
    ("snq-not-before", "nan"),
    ("snq-created", "1" * 400),
]


@pytest.mark.parametrize(("name", "value"), NUMBERS)
def test_a_header_that_is_no_number_counts_as_absent(name: str, value: str) -> None:
    headers, body = message.write(JOB)
    job = message.read(Frame("MESSAGE", {**headers, name: value}, body), 5.0)
    assert (job.id, job.attempt, job.not_before) == ("job-1", 1, 0.0)
    assert job.created == (5.0 if name == "snq-created" else JOB.created)
