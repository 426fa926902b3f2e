from __future__ import annotations

import base64

import phpserialize
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadPayload
from snqd.wire.envelope import Capture, Envelope, PhpItem, open_envelope, php_job_body, read_capture

NUL_PAYLOAD = b'O:1:"F":1:{s:4:"\0*\0a";s:3:"";}";}'


def _written(site: object = "alpha", queue: object = "distrib", payload: object = "i:1;") -> bytes:
    written: bytes = phpserialize.dumps({"site": site, "handler": queue, "payload": payload})
    return written


@given(st.text(max_size=20), st.text(max_size=20), st.binary())
def test_every_envelope_opens_plain_and_in_base64(site: str, queue: str, payload: bytes) -> None:
    body = _written(site, queue, payload)
    assert open_envelope(body) == Envelope(site, queue, payload)
    assert open_envelope(base64.b64encode(body)) == Envelope(site, queue, payload)


@given(st.binary())
def test_a_redis_item_opens_to_its_object(payload: bytes) -> None:
    assert open_envelope(b'a:2:{i:0;s:4:"ping";i:1;' + payload + b"}") == Envelope(None, "ping", payload)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"12345",
        b"<presence/>",
        b's:2:"hi";',
        b'a:2:{s:4:"site";s:5:"alpha";s:7:"handler";s:1:"q";}',
        b'a:3:{s:4:"site";s:5:"alpha";s:1:"a";N;s:1:"b";N;}',
        b'a:3:{s:7:"handler";s:1:"q";s:4:"site";s:5:"alpha";s:7:"payload";s:4:"i:1;";}',
        b'a:2:{i:0;s:11:"hello world";i:1;i:1;}',
        b"a:2:{i:0;i:1;i:1;i:2;}",
    ],
)
def test_other_payloads_are_no_envelope(body: bytes) -> None:
    assert open_envelope(body) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_written()[:-3], "the envelope is broken: the PHP data end inside a string of 4 bytes that begins at byte 70"),
        (_written()[:20], "the envelope is broken: the PHP data end inside a value that begins at byte 16"),
        (_written() + b"x", "the envelope is broken: the PHP value ends at byte 82, but 'x' follows it"),
        (_written().replace(b"s:5:", b"s:6:"), "the envelope is broken: byte 27: "),
        (_written(payload=5), "the payload of the envelope must be serialized text"),
        (_written(site=None), "site and handler of the envelope must be UTF-8 text"),
        (_written(site=b"\xff"), "the names in the envelope are not UTF-8"),
        (base64.b64encode(_written())[:-3], "the envelope is broken: 109 bytes of base64: "),
        (base64.b64encode(_written())[:-4], "the envelope is broken: the PHP data end before the closing brace"),
        (base64.b64encode(_written()) + b"\n", "the envelope is broken: 113 bytes of base64: "),
        (b'a:2:{i:0;s:4:"ping";i:1;s:5:"ab', "the envelope is broken: the PHP data end inside a string of 5 bytes"),
        (b'a:2:{i:0;s:5:"ping";i:1;i:1;}', "the envelope is broken: byte 19: "),
    ],
)
def test_a_broken_envelope_is_refused_with_its_place(body: bytes, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        open_envelope(body)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("end", [b"\0", b"\0\n", b"\0\r\n\n", b""])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("body", [b"restart", b"a\0\n\nb", b"", b"x\n"])
def test_a_frame_without_length_ends_at_its_last_nul(body: bytes, newline: bytes, end: bytes) -> None:
    frame = newline.join([b"SEND", b"destination: /queue/q", b"created: 2026-11-24 02:41:52", b"", body]) + end
    assert read_capture(frame) == Capture(body, "2026-11-24 02:41:52")


def test_a_frame_with_length_ends_there() -> None:
    assert read_capture(b"MESSAGE\ncontent-length:3\n\na\0b\0\n") == Capture(b"a\0b", "")


@pytest.mark.parametrize("length", [b"4", b"99", b"9" * 5000, b"x", b"-1", b""])
def test_a_length_that_can_not_be_is_not_believed(length: bytes) -> None:
    frame = b"MESSAGE\ncontent-length:" + length + b"\n\nabc\0"
    assert read_capture(frame).body == (b"abc\0" if length == b"4" else b"abc")


def test_headers_are_unescaped_and_the_first_counts() -> None:
    frame = b"MESSAGE\ncreated:2026\\c1\\\\\\n\ncreated:2027\n\n\0"
    assert read_capture(frame).created == "2026:1\\\n"


@pytest.mark.parametrize("data", [b"", b"i:1;", b"SEND", b"SEND\ndestination:/queue/q\n", b"SENDER\n\nx", b"\n\n"])
def test_what_is_no_whole_frame_is_the_body_itself(data: bytes) -> None:
    assert read_capture(data) == Capture(data, "")


def test_a_file_gives_payload_names_and_time() -> None:
    frame = b"SEND\ncreated: 2026-11-24 02:41:52\n\n" + _written(payload=NUL_PAYLOAD) + b"\0"
    assert php_job_body(frame) == PhpItem(NUL_PAYLOAD, "2026-11-24 02:41:52", "alpha", "distrib")


def test_a_broken_envelope_is_kept_whole() -> None:
    body = _written(payload=NUL_PAYLOAD)[:95]
    assert php_job_body(b"MESSAGE\ncreated:now\n\n" + body + b"\0\n") == PhpItem(body, "now", None, None)
