"""What is sent to systemd, and where."""

from __future__ import annotations

import pytest

from snqd.daemon.systemd import Manager, SdNotify, manager_of

PID = 42


@pytest.mark.parametrize(
    ("environment", "manager"),
    [
        ({}, Manager()),
        ({"NOTIFY_SOCKET": "relative/path"}, Manager()),
        ({"WATCHDOG_USEC": "30000000"}, Manager()),
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, Manager("/run/systemd/notify")),
        ({"NOTIFY_SOCKET": "@/org/notify"}, Manager("\0/org/notify")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000"}, Manager("/n", 30.0)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, Manager("/n", 30.0)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, Manager("/n")),
    ],
)
def test_the_environment_says_who_listens(environment: dict[str, str], manager: Manager) -> None:
    assert manager_of(environment, PID) == manager


class Socket:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str]] = []
        self.error: OSError | None = None

    def send(self, data: bytes, address: str) -> None:
        if self.error:
            raise self.error
        self.sent.append((data, address))


def test_states_go_in_one_datagram() -> None:
    socket = Socket()
    SdNotify(Manager("/n"), socket.send).tell("READY=1", "STATUS=fine")
    assert socket.sent == [(b"READY=1\nSTATUS=fine", "/n")]


def test_without_a_manager_nothing_is_sent() -> None:
    socket = Socket()
    SdNotify(Manager(), socket.send).tell("READY=1")
    assert socket.sent == []


def test_a_manager_that_does_not_listen_is_complained_of_once(logged: list[str]) -> None:
    socket = Socket()
    notify = SdNotify(Manager("/n"), socket.send)
    socket.error = ConnectionRefusedError("nobody there")
    notify.tell("READY=1")
    notify.tell("READY=1")
    assert logged == ["warn: systemd takes no message at NOTIFY_SOCKET: nobody there"]
    socket.error = None
    notify.tell("READY=1")
    assert socket.sent == [(b"READY=1", "/n")]
