"""What a daemon does with commands that children hear, and what it logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher

from snqd.core.clocks import BootTime, monotonic_of
from snqd.daemon.rolling_restart import RestartStopped
from snqd.ops.broadcasts import LINES, PERIOD, Broadcasts, LineLimit
from snqd.ops.control_gate import ControlGate
from snqd.wire.control_message import encode, new_message
from tests.unit.dates import Dates

KEY = b"k" * 32


class Asked:
    """A daemon and its commands: notes what it is asked.

    :ivar answer: to updates and restarts; an exception is raised.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.calls: list[str] = []
        self.answer: Any = succeed({})
        self.key_file = folder / "control.key"
        self.key_file.write_bytes(KEY)
        self.key_file.chmod(0o600)
        queue = SimpleNamespace(control_key_file=self.key_file, control_unsigned=False)
        self.settings = SimpleNamespace(queue=queue)
        self.dates = Dates(self.clock)
        gate = ControlGate(lambda: BootTime(self.clock.seconds()), self.dates)
        self.broadcasts = Broadcasts(self, self, gate, monotonic_of(self.clock))  # type: ignore[arg-type]

    def update(self, request: Mapping[str, Any]) -> Deferred[Any]:
        self.calls.append(f"update {request.get('site')}")
        return self._answer()

    def restart(self, request: Mapping[str, Any]) -> Deferred[Any]:
        self.calls.append("restart")
        return self._answer()

    def shut_down(self, reason: str) -> None:
        self.calls.append(f"stop: {reason}")

    def _answer(self) -> Deferred[Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def tell(self, command: str, site: str | None = None, key: bytes | None = KEY) -> None:
        message = new_message(command, site, self.dates(), "snqctl on host")
        self.broadcasts.heard(encode(message, key), "one")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged from level warn on."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.warn:
            seen.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


def test_commands_are_done(asked: Asked, lines: list[str]) -> None:
    asked.tell("update")
    asked.tell("update", "alpha")
    asked.tell("restart")
    asked.tell("stop")
    assert asked.calls == [
        "update None",
        "update alpha",
        "restart",
        "stop: snqctl on host told all daemons to stop",
    ]
    assert lines == []


def test_what_is_forged_is_ignored_with_a_line(asked: Asked, lines: list[str]) -> None:
    asked.tell("stop", key=b"y" * 32)
    asked.tell("stop", key=None)
    asked.broadcasts.heard(b"shutdown", "one")
    assert asked.calls == []
    assert len(lines) == 3
    assert "signature is wrong" in lines[0]
    assert "not signed" in lines[1]


def test_a_key_that_has_changed_is_read_again(asked: Asked, lines: list[str]) -> None:
    asked.key_file.write_bytes(b"y" * 32)
    asked.tell("restart", key=b"y" * 32)
    assert asked.calls == ["restart"]
    asked.key_file.unlink()
    asked.tell("restart", key=b"y" * 32)
    assert asked.calls == ["restart"]
    assert "control_key_file" in lines[0]


def test_what_the_socket_announced_is_left_to_it(asked: Asked) -> None:
    message = new_message("restart", None, asked.dates(), "x")
    assert asked.broadcasts.commands()["expect"]({"id": message.id}) == {"expected": True}
    asked.broadcasts.heard(encode(message, KEY), "one")
    assert asked.calls == []


@pytest.mark.parametrize("answer", [RestartStopped("one is under way"), fail(RestartStopped("child 1 died"))])
def test_a_command_that_could_not_be_done_is_logged(asked: Asked, lines: list[str], answer: Any) -> None:
    asked.answer = answer
    asked.tell("restart")
    assert len(lines) == 1
    assert lines[0].startswith("restart was not done: ")


def test_a_flood_of_refusals_is_counted_and_not_logged(asked: Asked, lines: list[str]) -> None:
    for number in range(LINES + 90):
        asked.broadcasts.heard(b"nonsense %d" % number, "one")
    assert len(lines) == LINES
    asked.clock.advance(PERIOD)
    asked.broadcasts.heard(b"more", "one")
    assert "90 more were ignored" in lines[-1]


def test_lines_are_let_through_again_in_each_period() -> None:
    clock = Clock()
    limit = LineLimit(monotonic_of(clock), 2, 10.0)
    assert [limit.admits() for _ in range(5)] == [0, 0, None, None, None]
    clock.advance(10)
    assert [limit.admits() for _ in range(3)] == [3, 0, None]
    clock.advance(25)
    assert limit.admits() == 1
