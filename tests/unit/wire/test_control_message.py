"""Commands to all daemons, as bytes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.wire.control_message import (
    COMMANDS,
    BadControlMessage,
    ControlMessage,
    Received,
    encode,
    new_message,
)

SAMPLES = Path(__file__).parents[2] / "samples"
KEY = b"k" * 32
MESSAGE = new_message("update", "alpha", 1000.5, "snqctl on host")


def test_what_is_signed_is_read_by_who_has_the_key() -> None:
    received = Received.of(encode(MESSAGE, KEY))
    assert received.is_signed_with(KEY)
    assert received.read() == MESSAGE
    assert not received.is_signed_with(b"another key, just as long as that")


def test_what_is_not_signed_has_no_signature() -> None:
    received = Received.of(encode(MESSAGE, None))
    assert (received.signature, received.read()) == ("", MESSAGE)
    assert not received.is_signed_with(KEY)


def test_no_byte_can_be_changed_or_left_out() -> None:
    body = encode(MESSAGE, KEY)
    for at in range(len(body)):
        for forged in (body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], body[:at] + body[at + 1 :]):
            assert not Received.of(forged).is_signed_with(KEY)


def test_ids_differ() -> None:
    assert MESSAGE.id != new_message("update", "alpha", 1000.5, "snqctl on host").id


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("update_peer", ControlMessage("update", "peer")),
        ("restart", ControlMessage("restart")),
        ("shutdown", ControlMessage("stop")),
    ],
)
def test_statusnets_own_are_read(sample: str, message: ControlMessage) -> None:
    frames = sorted(SAMPLES.glob(f"*/frames/*-SEND-{sample}.bin"))
    assert len(frames) == 2
    for frame in frames:
        body = frame.read_bytes().partition(b"\n\n")[2].rstrip(b"\0\n")
        received = Received.of(body)
        assert not received.signature
        assert received.read() == message


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"update:../etc", "no site name"),
        (b"update:", "no site name"),
        (b"update: peer", "no site name"),
        (b"update:p\xc3\xa4er", "no site name"),
        (b"update", "no command 'update'"),
        (b"", "no command ''"),
        (b"RESTART", "no command 'RESTART'"),
        (b"\x1b[2J\xff", "no command"),
        (b"snqd1 x {}", "no command"),
    ],
)
def test_other_words_are_refused(body: bytes, why: str) -> None:
    with pytest.raises(BadControlMessage, match=why) as refused:
        Received.of(body).read()
    assert str(refused.value).isprintable()


GOOD = {"command": "restart", "site": None, "id": "a-1", "sent": 5.0, "sender": "x"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"command": "rm -rf"}, "no command 'rm -rf'"),
        ({"command": 7}, "can't be read"),
        ({"site": "../x"}, "no site name"),
        ({"site": 7}, "can't be read"),
        ({"id": ""}, "no job id"),
        ({"id": 7}, "can't be read"),
        ({"sent": "soon"}, "can't be read"),
        ({"sent": float("nan")}, "can't be read"),
        ({"sent": float("inf")}, "can't be read"),
        ({"sent": 10**400}, "can't be read"),
        ({"sent": [[]]}, "can't be read"),
        ({"sender": None}, "can't be read"),
    ],
)
def test_own_messages_with_wrong_fields_are_refused(change: dict[str, object], why: str) -> None:
    body = b"snqd1 - " + json.dumps({**GOOD, **change}).encode()
    with pytest.raises(BadControlMessage, match=why):
        Received.of(body).read()


def test_a_senders_name_can_not_play_with_the_log() -> None:
    body = b"snqd1 - " + json.dumps({**GOOD, "sender": "a\n\x1b[2J" + "b" * 500}).encode()
    sender = Received.of(body).read().sender
    assert sender.isprintable()
    assert len(sender) < 130


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda text: b"snqd1 - {" + text + b"}"))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadControlMessage):
        assert Received.of(body).read().command in COMMANDS
