"""What snqctl tells this host's daemon, and what all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snqd.core.errors import DaemonNotRunning, StoreUnavailable
from snqd.ops.control import ControlFailed
from snqd.snqctl import broadcast, steer, update
from snqd.stores.control import Unheard
from snqd.stores.factory import control_channel_of
from snqd.wire.control_message import ControlMessage, Received

KEY = "k" * 32
RESTARTED = {"problems": [], "replaced": 2}
UPDATED = {
    "problems": [],
    "changed": False,
    "now": [],
    "after_restart": [],
    "after_stop_and_start": [],
    "sites": {},
}


class World:
    """A daemon on this host, and a store that takes messages.

    :ivar calls: what the daemon was asked, in order.
    :ivar running: whether it is there.
    :ivar failing: what the daemon, and what the store says instead of doing it.
    :ivar stuck: whether the daemon does not even listen.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.bodies: list[bytes] = []
        self.running = True
        self.failing: Exception | None = None
        self.stuck = False
        self.store_failing: Exception | None = None
        self.closed = 0

    def call(self, path: Path, command: str, timeout: float | None = None, **arguments: Any) -> Any:
        if not self.running:
            raise DaemonNotRunning(f"no daemon answers at {path}")
        self.calls.append((command, arguments))
        if self.failing and (self.stuck or command != "expect"):
            raise self.failing
        return UPDATED if command == "update" else RESTARTED

    def publish(self, body: bytes) -> None:
        if self.store_failing:
            raise self.store_failing
        self.bodies.append(body)

    def control_publisher(self) -> World:
        return self

    def close(self) -> None:
        self.closed += 1

    @property
    def message(self) -> ControlMessage:
        (body,) = self.bodies
        received = Received.of(body)
        assert received.is_signed_with(KEY.encode())
        return received.read()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    for module in (broadcast, update, steer):
        monkeypatch.setattr(module, "call", made.call)
    monkeypatch.setattr(broadcast, "control_channel_of", lambda settings: control_channel_of(settings) and made)
    return made


@pytest.fixture
def farmer(operator: Any) -> Any:
    """An operator of a store that hosts share, with a key."""
    key = operator.config.with_name("control.key")
    key.write_text(KEY)
    key.chmod(0o600)
    operator.configure("[queue]\nsubsystem = redis\nredis = redis://127.0.0.1:1/0\ncontrol_key_file = control.key\n")
    return operator


@pytest.mark.parametrize(
    ("words", "command", "site"),
    [(["update"], "update", None), (["update", "alpha"], "update", "alpha"), (["restart"], "restart", None)],
)
def test_both_are_told_and_the_daemon_here_knows_of_it(
    world: World, farmer: Any, words: list[str], command: str, site: str | None
) -> None:
    result = farmer(*words)
    assert result.exit_code == 0
    assert "the other daemons on the store were told" in result.stdout
    assert (world.message.command, world.message.site) == (command, site)
    assert world.calls == [("expect", {"id": world.message.id}), (command, {"site": site} if site else {})]
    assert world.closed == 1


def test_a_stop_is_for_all(world: World, farmer: Any) -> None:
    assert farmer("stop").exit_code == 0
    assert world.message.command == "stop"
    assert [command for command, _ in world.calls] == ["expect", "stop"]


@pytest.mark.parametrize("words", [["update", "--local"], ["restart", "--local"], ["stop", "--local"]])
def test_local_is_for_this_host_alone(world: World, farmer: Any, words: list[str]) -> None:
    assert farmer(*words).exit_code == 0
    assert world.bodies == []
    assert [command for command, _ in world.calls] == [words[0]]


def test_on_the_embedded_store_there_are_no_others(world: World, operator: Any) -> None:
    result = operator("stop")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "other" not in result.stdout
    world.running = False
    assert operator("stop").exit_code == 1


def test_without_a_daemon_here_the_others_are_told(world: World, farmer: Any) -> None:
    world.running = False
    result = farmer("restart")
    assert result.exit_code == 0
    assert "none runs on this host" in result.stdout
    assert world.message.command == "restart"
    assert farmer("restart", "--local").exit_code == 1


def test_without_a_key_it_says_what_to_set_and_tells_the_daemon_here(world: World, farmer: Any) -> None:
    farmer.config.write_text(farmer.config.read_text().replace("control_key_file", "#"))
    result = farmer("restart")
    assert result.exit_code == 0
    assert "control_key_file" in result.stderr
    assert (world.bodies, [command for command, _ in world.calls]) == ([], ["restart"])
    world.running = False
    assert farmer("restart").exit_code == 1


def test_unsigned_messages_are_sent_where_they_are_believed(world: World, farmer: Any) -> None:
    farmer.config.write_text(
        farmer.config.read_text().replace("control_key_file = control.key", "control_unsigned=yes")
    )
    assert farmer("stop").exit_code == 0
    received = Received.of(world.bodies[0])
    assert (received.signature, received.read().command) == ("", "stop")


def test_a_store_that_is_away_fails_it_but_not_the_daemon_here(world: World, farmer: Any) -> None:
    world.store_failing = StoreUnavailable("Redis is away")
    result = farmer("restart")
    assert result.exit_code == 1
    assert "other daemons were not told: Redis is away" in result.stderr
    assert "2 children were replaced" in result.stdout


def test_where_the_store_lets_nobody_listen_others_may_not_have_been_told(world: World, farmer: Any) -> None:
    world.store_failing = Unheard("the broker lets nobody listen to /topic/x")
    result = farmer("restart")
    assert result.exit_code == 1
    assert "other daemons may not have been told: the broker lets nobody listen to /topic/x" in result.stderr
    assert "were told" not in result.stdout


def test_what_the_daemon_here_refuses_the_others_are_told_all_the_same(world: World, farmer: Any) -> None:
    world.failing = ControlFailed("a rolling restart is under way")
    result = farmer("restart")
    assert result.exit_code == 1
    assert "under way" in result.stderr
    assert "the other daemons on the store were told" in result.stdout
    assert world.message.command == "restart"


def test_a_daemon_here_that_is_stuck_does_not_keep_the_others_from_being_told(world: World, farmer: Any) -> None:
    world.failing, world.stuck = ControlFailed("the daemon did not answer: timed out"), True
    result = farmer("stop")
    assert result.exit_code == 1
    assert result.stderr.count("timed out") == 2
    assert world.message.command == "stop"


@pytest.mark.parametrize(("mode", "text", "why"), [(0o644, KEY, "chmod 600"), (0o600, "short", "16 are the least")])
def test_a_bad_key_is_told_before_anything_is_done(world: World, farmer: Any, mode: int, text: str, why: str) -> None:
    key = farmer.config.with_name("control.key")
    key.write_text(text)
    key.chmod(mode)
    result = farmer("stop")
    assert result.exit_code == 2
    assert why in result.stderr
    assert (world.calls, world.bodies) == ([], [])
    assert why in farmer("check").stderr
