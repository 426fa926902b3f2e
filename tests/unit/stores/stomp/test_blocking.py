"""What goes to a broker together."""

from __future__ import annotations

from snqd.stores.stomp.blocking import Message, _alone, _transaction

MESSAGES: list[Message] = [({"destination": "/queue/a"}, b"1"), ({"destination": "/queue/b"}, b"2")]


def test_a_transaction_is_confirmed_as_a_whole_and_by_its_commit() -> None:
    assert list(_transaction(MESSAGES, "7")) == [
        ("BEGIN", {"transaction": "7"}, b""),
        ("SEND", {"destination": "/queue/a", "transaction": "7"}, b"1"),
        ("SEND", {"destination": "/queue/b", "transaction": "7"}, b"2"),
        ("COMMIT", {"transaction": "7", "receipt": "7"}, b""),
    ]


def test_a_message_alone_is_confirmed_by_itself() -> None:
    assert list(_alone(MESSAGES[:1], "7")) == [("SEND", {"destination": "/queue/a", "receipt": "7"}, b"1")]
