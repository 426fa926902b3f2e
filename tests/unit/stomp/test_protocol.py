"""A STOMP session: handshake, receipts, heart-beats, errors, back-pressure."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from snqd.core.errors import StoreUnavailable
from snqd.stomp.errors import LoginRefused, NoBroker, NotConnected, ProtocolError
from snqd.stomp.login import Login
from snqd.stomp.protocol import GOODBYE_TIMEOUT, HANDSHAKE_TIMEOUT
from tests.unit.stomp.doubles import Session


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """What `deferred` has come to: empty while it waits; a failure as its exception."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


# The handshake


def test_it_logs_in_without_delaying_packets() -> None:
    session = Session(Login("me", "se:cret", "vhost", heart_beat=5.0))
    (connect,) = session.sent()
    assert connect.command == "CONNECT"
    assert connect.headers == {
        "accept-version": "1.0,1.1,1.2",
        "host": "vhost",
        "heart-beat": "5000,5000",
        "login": "me",
        "passcode": "se:cret",
    }
    assert session.transport.no_delay


def test_without_a_name_it_does_not_log_in() -> None:
    (connect,) = Session(Login()).sent()
    assert "login" not in connect.headers


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_it_speaks_the_version_that_the_broker_chose(version: str) -> None:
    session = Session()
    protocol = session.connect(version)
    assert outcome(protocol.ready)[0].headers["version"] == version
    session.answer("MESSAGE", b"x", message_id="T_1@@s@@1", subscription="7", ack="a:1" if version == "1.2" else "a1")
    protocol.ack(session.messages[0])
    (ack,) = session.sent()
    expected = {
        "1.0": {"message-id": "T_1@@s@@1"},
        "1.1": {"message-id": "T_1@@s@@1", "subscription": "7"},
        "1.2": {"id": "a:1"},
    }
    assert ack.headers == expected[version]


def test_a_broker_that_names_no_version_speaks_1_0() -> None:
    session = Session()
    session.sent()
    session.answer("CONNECTED", session="x")
    assert session.protocol.version.value == "1.0"


def refuse(session: Session) -> None:
    session.answer("ERROR", b"Access refused for user 'me'\n", message="Bad CONNECT")


FAILED_HANDSHAKES = [
    (refuse, LoginRefused, "Access refused for user 'me'; check [queue] stomp_username"),
    (lambda session: session.answer("CONNECTED", version="2.0"), NoBroker, "version '2.0'"),
    (lambda session: session.answer("RECEIPT", receipt_id="1"), NoBroker, "RECEIPT is no frame"),
    (lambda session: session.protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NoBroker, "no command"),
    (lambda session: session.clock.advance(HANDSHAKE_TIMEOUT), NoBroker, "did not answer"),
    (lambda session: session.lose(), NoBroker, "closed before an answer to CONNECT"),
]


@pytest.mark.parametrize(("happen", "error", "text"), FAILED_HANDSHAKES)
def test_a_handshake_that_fails_cuts_the_connection_and_says_why(happen: Any, error: Any, text: str) -> None:
    session = Session()
    happen(session)
    if not session.protocol.lost.called:
        assert session.transport.disconnecting or session.transport.disconnected
        session.lose()
    (reason,) = outcome(session.protocol.ready)
    assert isinstance(reason, error)
    assert text in str(reason)
    assert not session.clock.getDelayedCalls()


def test_the_password_stays_out_of_repr() -> None:
    assert "secret" not in repr(Login("me", "secret"))


def test_a_password_can_not_become_a_frame() -> None:
    session = Session(Login("me", "x\n\n\0SEND\n"))
    assert session.sent() == []
    session.lose()
    assert isinstance(outcome(session.protocol.ready)[0], ProtocolError)


# Receipts


def test_what_is_sent_in_one_turn_goes_out_in_one_write_and_each_is_confirmed() -> None:
    session = Session()
    protocol = session.connect()
    writes = session.transport.writes
    done = [outcome(protocol.send(f"/queue/{n}", {"a": "b"}, b"body")) for n in range(3)]
    frames = session.sent()
    assert session.transport.writes == writes + 1
    assert [frame.headers["destination"] for frame in frames] == ["/queue/0", "/queue/1", "/queue/2"]
    assert protocol.unconfirmed == 3
    session.answer("RECEIPT", receipt_id=frames[2].headers["receipt"])
    assert done == [[], [], [None]]
    session.answer("RECEIPT", receipt_id="unheard of")
    session.answer("RECEIPT", receipt_id=frames[0].headers["receipt"])
    assert done == [[None], [], [None]]
    assert protocol.unconfirmed == 1


def test_what_was_not_confirmed_when_the_connection_is_lost_has_failed() -> None:
    session = Session()
    protocol = session.connect()
    sent = outcome(protocol.send("/queue/a", {}, b""))
    session.lose()
    later = outcome(protocol.send("/queue/a", {}, b""))
    assert isinstance(sent[0], StoreUnavailable)
    assert isinstance(later[0], StoreUnavailable)
    assert isinstance(outcome(protocol.lost)[0], NotConnected)


def test_an_error_fails_everything_with_the_brokers_words() -> None:
    session = Session()
    protocol = session.connect()
    sent = outcome(protocol.send("/queue/a", {}, b""))
    session.answer("ERROR", b"No such\nthing", message="not_found")
    session.lose()
    assert str(sent[0]) == "the broker says: not_found: No such thing"


def test_a_header_that_can_not_be_said_is_refused_before_anything_is_written() -> None:
    session = Session()
    protocol = session.connect()
    with pytest.raises(ProtocolError):
        protocol.send("/queue/a", {"reason": "a\0b"}, b"")
    session.clock.advance(0)
    assert session.sent() == []


def test_subscribing_asks_for_an_ack_each() -> None:
    session = Session()
    done = outcome(session.connect().subscribe("7", "/queue/a", {"prefetch-count": "5"}))
    (frame,) = session.sent()
    receipt = frame.headers.pop("receipt")
    assert frame.headers == {
        "id": "7", "destination": "/queue/a", "ack": "client-individual", "prefetch-count": "5"
    }  # fmt: skip
    session.answer("RECEIPT", receipt_id=receipt)
    assert done == [None]


# Saying goodbye


def test_it_disconnects_once_the_broker_has_processed_everything() -> None:
    session = Session()
    protocol = session.connect()
    gone = outcome(protocol.disconnect())
    (frame,) = session.sent()
    assert frame.command == "DISCONNECT"
    assert not session.transport.disconnecting
    session.answer("RECEIPT", receipt_id=frame.headers["receipt"])
    assert session.transport.disconnecting
    assert gone == []
    session.lose()
    assert gone == [None]
    assert outcome(protocol.disconnect()) == [None]
    assert not session.clock.getDelayedCalls()


def test_it_does_not_wait_for_ever_for_the_goodbye() -> None:
    session = Session()
    gone = outcome(session.connect().disconnect())
    session.clock.advance(GOODBYE_TIMEOUT)
    assert session.transport.disconnected or session.transport.disconnecting
    session.lose()
    assert gone == [None]


# Heart-beats


def test_it_shows_that_it_lives_while_it_has_nothing_to_say() -> None:
    session = Session(Login(heart_beat=10.0))
    session.connect(heart_beat="0,10000")
    for _ in range(4):
        session.transport.clear()
        session.clock.advance(5.0)
        assert session.transport.value() == b"\n"


def test_a_silent_broker_is_given_up_and_any_byte_counts() -> None:
    session = Session(Login(heart_beat=10.0))
    session.connect(heart_beat="10000,0")
    for _ in range(5):
        session.clock.advance(10.0)
        session.protocol.dataReceived(b"\n")
    session.clock.pump([5.0] * 6)
    assert not session.transport.disconnected
    session.clock.advance(5.0)
    assert session.transport.disconnected or session.transport.disconnecting
    session.lose()
    assert "silent for 35 s" in str(outcome(session.protocol.lost)[0])
    assert not session.clock.getDelayedCalls()


def test_activemq_may_be_silent_for_two_intervals_after_a_receipt() -> None:
    session = Session(Login(heart_beat=10.0))
    protocol = session.connect(heart_beat="10000,0")
    for _ in range(3):
        protocol.send("/queue/a", {}, b"1")
        (sent,) = session.sent()
        session.answer("RECEIPT", receipt_id=sent.headers["receipt"])
        session.clock.pump([5.1] * 4)
        session.protocol.dataReceived(b"\n")
    assert not session.transport.disconnected


def test_what_came_while_the_reactor_was_busy_is_read_before_the_broker_is_given_up() -> None:
    session = Session(Login(heart_beat=10.0))
    session.connect(heart_beat="10000,0")
    session.clock.callLater(60.0, session.protocol.dataReceived, b"\n")  # behind the looks that are due by then
    session.clock.advance(60.0)
    assert not session.transport.disconnected
    session.clock.pump([5.0] * 7)
    assert session.transport.disconnected


# Back-pressure


def test_while_the_transport_is_full_nothing_is_written_and_senders_are_told() -> None:
    session = Session()
    protocol = session.connect()
    assert outcome(protocol.room()) == [None]
    protocol.pauseProducing()
    room = outcome(protocol.room())
    protocol.send("/queue/a", {}, b"")
    assert session.sent() == []
    assert room == []
    protocol.resumeProducing()
    assert room == [None]
    assert [frame.command for frame in session.sent()] == ["SEND"]


def test_no_heart_beat_is_added_to_what_can_not_be_written() -> None:
    session = Session(Login(heart_beat=10.0))
    session.connect(heart_beat="0,10000")
    session.protocol.pauseProducing()
    session.clock.advance(50.0)
    assert session.transport.value() == b""


def test_who_waits_for_room_is_told_of_the_loss() -> None:
    session = Session()
    protocol = session.connect()
    protocol.pauseProducing()
    room = outcome(protocol.room())
    session.lose()
    assert isinstance(room[0], StoreUnavailable)
    assert isinstance(outcome(protocol.room())[0], StoreUnavailable)
