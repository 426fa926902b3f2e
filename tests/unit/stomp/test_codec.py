"""The STOMP codec: frames in any split, escapes by version, limits, and nothing that can be injected."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import stomper
from hypothesis import example, given
from hypothesis import strategies as st

from snqd.stomp.encoder import encode
from snqd.stomp.errors import ProtocolError
from snqd.stomp.frame import COMMANDS, UNESCAPED, Frame, Limits, Version
from snqd.stomp.parser import Parser

SAMPLES = Path(__file__).parents[2] / "samples"
CAPTURES = sorted(SAMPLES.glob("*/frames/*.bin"))
SMALL = Limits(headers=3, line_bytes=20, body_bytes=30)


def parse(data: bytes, version: Version = Version.V1_2, limits: Limits = Limits()) -> list[Frame]:  # noqa: B008
    return list(Parser(version, limits).feed(data))


def in_pieces(data: bytes, cuts: Iterable[int], **options: Any) -> tuple[list[Frame], str]:
    """The frames of `data` cut at these places, and the error behind them."""
    parser, frames, begin = Parser(**options), [], 0
    try:
        for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
            for frame in parser.feed(data[begin:cut]):
                frames.append(frame)
            begin = cut
    except ProtocolError as error:
        return frames, str(error)
    return frames, ""


# Parsing


def test_a_frame() -> None:
    (frame,) = parse(b"SEND\ndestination:/queue/a\n\nhello\0")
    assert frame == Frame("SEND", {"destination": "/queue/a"}, b"hello")


def test_frames_with_heart_beats_around_them() -> None:
    data = b"\n\r\n\nRECEIPT\nreceipt-id:1\n\n\0\n\n\nRECEIPT\nreceipt-id:2\n\n\0DISCONNECT\n\n\0\n"
    assert [frame.headers.get("receipt-id") for frame in parse(data)] == ["1", "2", None]


def test_content_length_wins_over_nul() -> None:
    (frame,) = parse(b"MESSAGE\ncontent-length:5\n\n\0a\0b\0\0")
    assert frame.body == b"\0a\0b\0"


def test_an_empty_body_with_content_length() -> None:
    assert [frame.body for frame in parse(b"MESSAGE\ncontent-length:0\n\n\0" * 2)] == [b"", b""]


def test_of_repeated_headers_the_first_counts() -> None:
    (frame,) = parse(b"MESSAGE\nfoo:World\nfoo:Hello\n\n\0")
    assert frame.headers == {"foo": "World"}


def test_a_value_may_hold_colons_and_blanks() -> None:
    (frame,) = parse(b"MESSAGE\nfoo: a:b \n\n\0")
    assert frame.headers == {"foo": " a:b "}


def test_lines_may_end_in_crlf_in_1_2_only() -> None:
    data = b"MESSAGE\r\nfoo:bar\r\n\r\nx\r\n\0"
    assert parse(data) == [Frame("MESSAGE", {"foo": "bar"}, b"x\r\n")]
    with pytest.raises(ProtocolError, match="no command"):
        parse(data, Version.V1_1)
    (frame,) = parse(b"MESSAGE\nfoo:bar\r\n\n\0", Version.V1_1)
    assert frame.headers == {"foo": "bar\r"}


@pytest.mark.parametrize("version", Version)
def test_the_answer_to_connect_is_read_before_a_version_is_agreed_on(version: Version) -> None:
    (frame,) = parse(b"CONNECTED\r\nversion:1.2\r\nserver:a\\b:c\r\n\r\n\0", version)
    assert frame.headers == {"version": "1.2", "server": "a\\b:c"}


ESCAPES = [
    (Version.V1_2, rb"a\cb\\c\nd\re", "a:b\\c\nd\re"),
    (Version.V1_2, rb"\\c\\n\\\\", r"\c\n" + "\\\\"),
    (Version.V1_1, rb"a\cb\\c\nd", "a:b\\c\nd"),
    (Version.V1_0, rb"a\cb\\c\nd", r"a\cb\\c\nd"),
]


@pytest.mark.parametrize(("version", "raw", "value"), ESCAPES)
def test_escapes_are_those_of_the_version(version: Version, raw: bytes, value: str) -> None:
    (frame,) = parse(b"MESSAGE\n" + raw.replace(b"\\", b"\\") + b"x:1\nfoo:" + raw + b"\n\n\0", version)
    assert frame.headers["foo"] == value


@pytest.mark.parametrize(("version", "raw"), [(Version.V1_2, rb"\t"), (Version.V1_2, b"\\"), (Version.V1_1, rb"\r")])
def test_other_escapes_are_refused(version: Version, raw: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"is no escape of STOMP"):
        parse(b"MESSAGE\nfoo:" + raw + b"\n\n\0", version)


def test_escapes_in_a_name() -> None:
    (frame,) = parse(b"MESSAGE\na\\cb:1\n\n\0")
    assert frame.headers == {"a:b": "1"}


def test_in_a_1_0_session_the_blank_behind_the_colon_is_phps() -> None:
    (frame,) = parse(b"MESSAGE\nfoo: bar \nempty: \n\n\0", Version.V1_0)
    assert frame.headers == {"foo": "bar ", "empty": ""}


def test_bytes_that_are_not_utf_8_are_kept() -> None:
    (frame,) = parse(b"MESSAGE\nfoo:\xff\xfe\n\n\0")
    assert encode("MESSAGE", frame.headers).startswith(b"MESSAGE\nfoo:\xff\xfe\n")


BROKEN = [
    (b"HELLO\n\n\0", "'HELLO' is no command"),
    (b"MESSAGE\nfoo\n\n\0", "a header of MESSAGE without a colon: 'foo'"),
    (b"MESSAGE\n:bar\n\n\0", "has no name"),
    (b"MESSAGE\ncontent-length:x\n\n\0", "'x' is no content-length"),
    (b"MESSAGE\ncontent-length:-1\n\n\0", "'-1' is no content-length"),
    (b"MESSAGE\ncontent-length:\xc2\xb2\n\n\0", "is no content-length"),
    (b"MESSAGE\ncontent-length:1\n\nab\0", "no NUL behind the 1 bytes"),
    (b"\x16\x03\x01\x02\x00\n\n", "is no command"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no command"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_what_breaks_the_protocol_is_named_behind_the_frames_before_it(data: bytes, message: str) -> None:
    frames, error = in_pieces(b"RECEIPT\nreceipt-id:1\n\n\0" + data, [])
    assert len(frames) == 1
    assert message in error


# Limits


LIMITS = [
    (b"SEND\na:1\nb:2\nc:3\nd:4\n\n\0", "4 headers, 3 are allowed"),
    (b"SEND\na:" + b"x" * 19 + b"\n\n\0", "21 bytes, 20 are allowed"),
    (b"SEND\n\n" + b"x" * 31 + b"\0", "over 30 bytes"),
    (b"SEND\n\n" + b"x" * 31, "over 30 bytes"),
    (b"SEND\ncontent-length:31\n\n", "over 30 bytes"),
    (b"SEND\ncontent-length:99999\n\n", "over 30 bytes"),
    (b"SEND\na:" + b"x" * 90, "command and headers have over 88 bytes"),
    (b"SEND\r" + b"\r" * 90, "command and headers have over 88 bytes"),
]


@pytest.mark.parametrize(("data", "message"), LIMITS)
@pytest.mark.parametrize("split", [False, True])
def test_limits(data: bytes, message: str, split: bool) -> None:
    _, error = in_pieces(data, range(len(data)) if split else [], limits=SMALL)
    assert message in error


def test_a_frame_at_the_limits_passes() -> None:
    data = b"SEND\na:" + b"x" * 18 + b"\nb:2\nc:3\n\n" + b"x" * 30 + b"\0"
    assert len(parse(data, limits=SMALL)) == 1


def test_a_content_length_of_thousands_of_digits_is_no_way_around() -> None:
    with pytest.raises(ProtocolError, match="over"):
        parse(b"SEND\ncontent-length:" + b"9" * 5000 + b"\n\n")


# Encoding


def test_an_encoded_frame() -> None:
    assert encode("SEND", {"destination": "/queue/a"}, b"x\0") == (
        b"SEND\ndestination:/queue/a\ncontent-length:2\n\nx\0\0"
    )
    assert encode("ACK", {"id": "a:b"}) == b"ACK\nid:a\\cb\n\n\0"
    assert encode("SEND", {}) == b"SEND\ncontent-length:0\n\n\0"


INJECTIONS = [
    ("SEND", Version.V1_0, {"a": "x\ninjected:1"}),
    ("SEND", Version.V1_0, {"a:b": "x"}),
    ("SEND", Version.V1_1, {"a": "x\r"}),
    ("CONNECT", Version.V1_2, {"passcode": "x\n\n\0SEND\n"}),
    ("CONNECT", Version.V1_2, {"login:x": "y"}),
    ("CONNECT", Version.V1_2, {"login": "y\r"}),
    ("SEND", Version.V1_2, {"a": "x\0"}),
    ("SEND", Version.V1_2, {"a\0": "x"}),
    ("SEND", Version.V1_2, {"": "x"}),
    ("SEND", Version.V1_2, {"content-length": "0"}),
    ("SEND", Version.V1_2, {"a": "\ud800"}),
    ("SEND\n\n\0SEND", Version.V1_2, {}),
]


@pytest.mark.parametrize(("command", "version", "headers"), INJECTIONS)
def test_what_can_not_be_said_is_refused(command: str, version: Version, headers: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        encode(command, headers, version=version)


# Whatever comes


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
COMMAND = st.sampled_from(sorted(COMMANDS - UNESCAPED))
FRAME = st.builds(Frame, COMMAND, st.dictionaries(TEXT.filter(bool), TEXT, max_size=5), st.binary(max_size=50))


def written(frame: Frame) -> bytes:
    return encode(frame.command, frame.headers, frame.body)


def without_length(frame: Frame) -> Frame:
    return Frame(frame.command, {k: v for k, v in frame.headers.items() if k != "content-length"}, frame.body)


@given(st.lists(FRAME.filter(lambda frame: "content-length" not in frame.headers), max_size=5), st.lists(st.integers()))
def test_frames_come_back_as_they_were_in_any_split(frames: list[Frame], cuts: list[int]) -> None:
    data = b"\n".join(written(frame) for frame in frames)
    found, error = in_pieces(data, cuts)
    assert (list(map(without_length, found)), error) == (frames, "")


WORDS = st.sampled_from(
    b"SEND|MESSAGE|CONNECTED|:|\0|\\c|\\|content-length:2|content-length:|a:b|\xff|{}|\n|\n\n|\r\n|\r\n\r\n| ".split(
        b"|"
    )
)
NOISE = st.one_of(st.binary(max_size=60), st.lists(WORDS, max_size=25).map(b"".join))


@given(NOISE, st.lists(st.integers()), st.sampled_from(Version))
@example(b"SEND" * 13 + b"content-length:2\n\n", [67], Version.V1_0)
@example(b"SEND\n" + b"content-length:2222\n" * 3 + b"\n", [], Version.V1_0)
@example(b"SEND" * 40 + b"\r\n\r\n", [], Version.V1_2)
def test_any_bytes_give_the_same_frames_or_error_in_any_split(data: bytes, cuts: list[int], version: Version) -> None:
    options = {"version": version, "limits": SMALL}
    whole = in_pieces(data, [], **options)
    assert in_pieces(data, cuts, **options) == whole
    assert in_pieces(data, range(len(data)), **options) == whole


# What was captured from PHP and real brokers


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_captured_frames(capture: Path) -> None:
    data = capture.read_bytes()
    frames, error = in_pieces(data, [], version=Version.V1_0)
    command = capture.stem.split("-")[3]
    assert frames[0].command == command
    assert (len(frames), error) == (1, "")
    # PHP sends NULs in bodies and no content-length: the body ends there for everybody.
    body = data.partition(b"\n\n")[2]
    assert body.startswith(frames[0].body)
    assert frames[0].headers.get("content-length", str(len(frames[0].body))) == str(len(frames[0].body))
    assert all(not value.startswith(" ") for value in frames[0].headers.values())
    assert in_pieces(data, range(len(data)), version=Version.V1_0) == (frames, error)


@pytest.mark.parametrize("sample", ["gnusocial120-rabbitmq", "statusnet10-activemq"])
def test_a_captured_conversation_in_one_stream(sample: str) -> None:
    captures = [path for path in CAPTURES if path.parts[-3] == sample and "-s2c-" in path.stem]
    data = b"\n".join(path.read_bytes() for path in captures)
    frames, error = in_pieces(data, range(0, len(data), 100), version=Version.V1_0)
    assert error == ""
    assert [frame.command for frame in frames] == [path.stem.split("-")[3] for path in captures]


# A second opinion, where stomper is right: plain ASCII, see docs/stomp.rst


def test_stomper_reads_what_we_write() -> None:
    theirs = stomper.unpack_frame(encode("MESSAGE", {"a": "1", "b": "two"}, b"one line").decode())
    assert (theirs["cmd"], theirs["body"]) == ("MESSAGE", "one line")
    assert {name: theirs["headers"][name] for name in "ab"} == {"a": "1", "b": "two"}


STOMPERS = [
    stomper.connect("me", "secret", "localhost", (0, 0)),
    stomper.send("/queue/a", "hello"),
    stomper.subscribe("/queue/a", "1", "client-individual"),
    stomper.ack("17", "1"),
    stomper.begin("t"),
    stomper.commit("t"),
    stomper.abort("t"),
    stomper.unsubscribe("1"),
]


@pytest.mark.parametrize("text", STOMPERS, ids=lambda text: text.split("\n")[0])
def test_we_read_what_stomper_writes(text: str) -> None:
    (frame,) = parse(text.encode(), Version.V1_1)
    theirs = stomper.unpack_frame(text)
    assert frame.command == theirs["cmd"]
    assert frame.body.decode().strip() == theirs["body"].strip()
    assert {name: value.strip() for name, value in frame.headers.items()} == theirs["headers"]
