"""Every captured payload becomes the value it was or is refused with a reason; damaged, it never does anything else."""

from __future__ import annotations

import base64
import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadPayload
from snqd.core.job import PHP
from snqd.wire.envelope import open_envelope, php_job_body, read_capture
from snqd.wire.payload import decode, to_json_text
from snqd.wire.php import PhpObject, loads

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PLAIN = (str, bytes, int, float, bool, type(None))

STANZA = '<message to="bob@example.org" type="chat"><body>hi &amp; café</body></message>'
TEXT = "plain text, not XML"
ARRAY = {"to": "bob", "n": 42, "nested": ["a", 1.5, None, False], "uni": "café"}
PUBLIC = {"id": 7, "name": "café & <b>", "list": [1, 2.5, True, None]}
PRIVATE = {**PUBLIC, "prot": "p", "priv": "q"}
URI = {"uri": "http://example.org/1", "n": 1}
SMALL_NOTICE = {"id": 12345, "_profile": "x", "_faves": 1, "content": "n"}
_QUERY = {
    **dict.fromkeys(["condition", "group_by", "order_by", "having", "useindex", "limit_start", "limit_count"], ""),
    **dict.fromkeys(["derive_table", "derive_select"], ""),
    "data_select": "*",
    "unions": [],
}
_DATA_OBJECT = {
    "_DB_DataObject_version": "1.11.3",
    "_database_dsn": "",
    "_query": _QUERY,
    "_resultFields": False,
    "_join": "",
    "_lastError": False,
}
NOTICE_120 = {
    **_DATA_OBJECT,
    "__table": "notice",
    "N": 1,
    "_database": "gs120",
    "_database_dsn_md5": "a5ce0c9be180a8ba7971bd47742c5ac2",
    "profile_id": "2",
    "url": None,
    "reply_to": None,
    "is_local": "1",
    "source": "cli",
    "repeat_of": None,
    "verb": "http://activitystrea.ms/schema/1.0/post",
    "object_type": "http://activitystrea.ms/schema/1.0/note",
    "scope": "0",
    "_attentionids": [],
}
PROFILE_120 = {
    **_DATA_OBJECT,
    **dict.fromkeys(["fullname", "homepage", "bio", "location", "lat", "lon", "location_id", "location_ns"]),
    "__table": "profile",
    "N": 1,
    "_database": "gs120",
    "_database_dsn_md5": "a5ce0c9be180a8ba7971bd47742c5ac2",
    "id": "2",
    "nickname": "alice",
    "profileurl": "http://peer.localhost/index.php/alice",
    "created": "2026-11-24 02:39:54",
    "modified": "2026-11-24 02:39:54",
}
NOTICE_2 = {
    **NOTICE_120,
    "N": 0,
    "_database": "gs2",
    "_database_dsn_md5": "dc3dc417ae617f82d7ef6bf626031ff9",
    "is_local": 1,
    "scope": 0,
}
_VARYING = {"id", "uri", "content", "rendered", "conversation", "created", "modified"}

ROWS = {
    "row-1-distrib": '{"id":6,"type":"Notice"}',
    "row-2-peernoop": PhpObject("Notice", NOTICE_120),
    "row-3-peernoop": '{"id":1,"type":"Notice"}',
    "row-4-peernoop": STANZA,
    "row-5-peernoop": TEXT,
    "row-6-peernoop": ARRAY,
    "row-7-peernoop": PhpObject("PeerPayload", PRIVATE),
    "row-8-peernoop": PhpObject("stdClass", URI),
    "row-9-peernoop": PhpObject("Profile", PROFILE_120),
}
# Frame: site and queue of its envelope, the time in its second, and what is in it.
JOBS = {
    "gnusocial120-rabbitmq/frames/02-c2s-001-SEND-distrib-string": ("distrib", "41:52", '{"id":4,"type":"Notice"}'),
    "gnusocial120-rabbitmq/frames/01-c2s-004-SEND-ostatus-object": (
        "ostatus",
        "41:52",
        PhpObject("Notice", NOTICE_120),
    ),
    "gnusocial120-rabbitmq/frames/01-c2s-005-SEND-ping-object": ("ping", "41:52", PhpObject("Notice", NOTICE_120)),
    "gnusocial120-rabbitmq/frames/01-s2c-001-MESSAGE-distrib-string": ("distrib", "41:52", '{"id":4,"type":"Notice"}'),
    "gnusocial120-rabbitmq/frames/01-s2c-002-MESSAGE-ostatus-object": (
        "ostatus",
        "41:52",
        PhpObject("Notice", NOTICE_120),
    ),
    "gnusocial120-rabbitmq/frames/01-s2c-003-MESSAGE-ping-object": ("ping", "41:52", PhpObject("Notice", NOTICE_120)),
    "statusnet10-activemq/frames/02-c2s-001-SEND-peernoop-object-hasNUL": (
        "peernoop",
        "47:28",
        PhpObject("Notice", SMALL_NOTICE),
    ),
    "statusnet10-activemq/frames/03-c2s-001-SEND-peernoop-string": ("peernoop", "47:29", STANZA),
    "statusnet10-activemq/frames/04-c2s-001-SEND-peernoop-string": ("peernoop", "47:30", TEXT),
    "statusnet10-activemq/frames/05-c2s-001-SEND-peernoop-array": ("peernoop", "47:30", ARRAY),
    "statusnet10-activemq/frames/06-c2s-001-SEND-peernoop-object": (
        "peernoop",
        "47:31",
        PhpObject("PubPayload", PUBLIC),
    ),
    "statusnet10-activemq/frames/07-c2s-001-SEND-peernoop-object-hasNUL": (
        "peernoop",
        "47:31",
        PhpObject("PeerPayload", PRIVATE),
    ),
    "statusnet10-activemq/frames/08-c2s-001-SEND-peernoop-int": ("peernoop", "47:32", 99),
    "statusnet10-activemq/frames/01-s2c-002-MESSAGE-peernoop-string": ("peernoop", "47:29", STANZA),
    "statusnet10-activemq/frames/01-s2c-003-MESSAGE-peernoop-string": ("peernoop", "47:30", TEXT),
    "statusnet10-activemq/frames/01-s2c-004-MESSAGE-peernoop-array": ("peernoop", "47:30", ARRAY),
    "statusnet10-activemq/frames/01-s2c-005-MESSAGE-peernoop-object": (
        "peernoop",
        "47:31",
        PhpObject("PubPayload", PUBLIC),
    ),
    "statusnet10-activemq/frames/01-s2c-007-MESSAGE-peernoop-int": ("peernoop", "47:32", 99),
}
CUT = {
    "statusnet10-activemq/frames/01-s2c-001-MESSAGE-peernoop-object": "a string of 109 bytes that begins at byte 70",
    "statusnet10-activemq/frames/01-s2c-006-MESSAGE-peernoop-object": "a string of 170 bytes that begins at byte 70",
}
CONTROL = re.compile(r"-(update_peer|restart|shutdown)$")


def _read(name: str) -> bytes:
    return (SAMPLES / f"{name}.bin").read_bytes()


def _names(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(SAMPLES).with_suffix("")) for path in SAMPLES.glob(pattern))


def _redis_items() -> list[bytes]:
    """What Redis's MONITOR saw pushed."""
    log = (SAMPLES / "gnusocial2-redis/redis-monitor.txt").read_bytes()
    pushed = re.findall(rb'"RPUSH" "[^"]*" "((?:[^"\\]|\\.)*)"', log)
    return [re.sub(rb"\\(x[0-9a-f]{2}|.)", _unescaped, item) for item in pushed]


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1][1:], 16)]) if len(match[1]) == 3 else match[1]


def _same(value: object, wanted: object) -> None:
    """`value` is `wanted`, of the same class; of a whole notice what differs from one to the next is only there."""
    if isinstance(wanted, PhpObject) and "__table" in wanted:
        assert isinstance(value, PhpObject)
        assert {**value, **wanted} == value
        assert set(value) - set(wanted) <= _VARYING
    else:
        assert value == wanted
    assert getattr(value, "class_name", None) == getattr(wanted, "class_name", None)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) in (str, bytes, int) for key in value) and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, PLAIN)


def _decodes_or_refuses(data: bytes) -> None:
    item = php_job_body(data)
    with contextlib.suppress(BadPayload):
        assert _is_plain(decode(item.body, PHP))


def test_all_samples_are_named_here() -> None:
    frames = _names("*/frames/*.bin")
    assert {name for name in frames if not CONTROL.search(name)} == set(JOBS) | set(CUT)
    assert len(frames) == len(JOBS) + len(CUT) + 12
    assert {Path(name).name.removesuffix(".frame") for name in _names("gnusocial120-db/*")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_a_bare_payload(name: str) -> None:
    item = php_job_body(_read(f"gnusocial120-db/{name}.frame"))
    _same(decode(item.body, PHP), ROWS[name])
    assert (item.site, item.queue, item.created) == (None, None, "")


@pytest.mark.parametrize("name", JOBS)
def test_a_frame_gives_site_queue_time_and_payload(name: str) -> None:
    queue, time, wanted = JOBS[name]
    item = php_job_body(_read(name))
    _same(decode(item.body, PHP), wanted)
    assert (item.site, item.queue, item.created) == ("peer", queue, f"2026-11-24 02:{time}")


@pytest.mark.parametrize("name", CUT)
def test_what_a_broker_cut_keeps_its_bytes_and_gives_the_reason(name: str) -> None:
    frame = _read(name)
    item = php_job_body(frame)
    assert item.body == frame.split(b"\n\n", 1)[1].split(b"\0")[0]
    assert (item.site, item.queue) == (None, None)
    assert item.created.startswith("2026-11-24 02:47:")
    with pytest.raises(BadPayload, match=f"^the PHP data end inside {CUT[name]}$"):
        decode(item.body, PHP)
    with pytest.raises(BadPayload, match=f"^the envelope is broken: the PHP data end inside {CUT[name]}$"):
        open_envelope(item.body)


@pytest.mark.parametrize("name", [name for name in _names("*/frames/*.bin") if CONTROL.search(name)])
def test_a_control_signal_is_no_payload(name: str) -> None:
    item = php_job_body(_read(name))
    signal = name.rsplit("-", 1)[1].replace("_", ":")
    assert item.body == signal.encode()
    with pytest.raises(BadPayload, match=f"^byte 0: '{signal}' begins no PHP value$"):
        decode(item.body, PHP)


def test_gnu_social_2s_list_item_names_its_queue() -> None:
    item = php_job_body(_read("gnusocial2-redis/list-item-notice"))
    assert (item.site, item.queue, item.created) == (None, "distrib", "")
    _same(decode(item.body, PHP), PhpObject("Notice", NOTICE_2))


def test_every_item_that_redis_saw() -> None:
    wanted = [
        ("peernoop", STANZA),
        ("peernoop", ARRAY),
        ("peernoop", PhpObject("stdClass", URI)),
        *((queue, PhpObject("Notice", NOTICE_2)) for queue in ("ping", "activitypub", "ostatus")),
    ]
    items = _redis_items()
    assert len(items) == len(wanted)
    for raw, (queue, value) in zip(items, wanted, strict=True):
        item = php_job_body(raw)
        assert (item.site, item.queue) == (None, queue)
        _same(decode(item.body, PHP), value)


@pytest.mark.parametrize("name", [*JOBS, *(f"gnusocial120-db/{row}.frame" for row in ROWS)])
def test_every_payload_can_go_to_another_program(name: str) -> None:
    value = decode(php_job_body(_read(name)).body, PHP)
    assert decode(to_json_text(value).encode(), "json") == value


PAYLOADS = [
    *(_read(f"gnusocial120-db/{row}.frame") for row in ROWS),
    *(read_capture(_read(name)).body for name in (*JOBS, *CUT)),
    _read("gnusocial2-redis/list-item-notice"),
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: f"{len(payload)}-bytes")
def test_cut_anywhere_it_is_refused(payload: bytes) -> None:
    whole = payload if payload[1:2] == b":" else base64.b64decode(payload)
    for end in range(len(whole)):
        with pytest.raises(BadPayload, match=r"the PHP data (end|are empty)"):
            loads(whole[:end])
    for end in range(len(payload)):
        _decodes_or_refuses(payload[:end])


@given(st.sampled_from(PAYLOADS), st.data())
def test_flipped_bits_are_refused_or_give_plain_values(payload: bytes, data: st.DataObject) -> None:
    flipped = bytearray(payload)
    for bit in data.draw(st.lists(st.integers(0, len(payload) * 8 - 1), min_size=1, max_size=4)):
        flipped[bit // 8] ^= 1 << bit % 8
    _decodes_or_refuses(bytes(flipped))


@given(st.sampled_from([_read(name) for name in (*JOBS, *CUT)]), st.integers(0), st.binary(max_size=4))
def test_a_damaged_frame_is_refused_or_gives_plain_values(frame: bytes, at: int, junk: bytes) -> None:
    at %= len(frame)
    _decodes_or_refuses(frame[:at] + junk + frame[at + len(junk) :])
