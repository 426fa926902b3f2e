from __future__ import annotations

from typing import Any

import pytest

from snqd.snqctl import steer
from snqd.stores.interface import Pauses


@pytest.mark.parametrize(
    ("arguments", "what", "pauses"),
    [
        (("greet",), "queue greet", Pauses(queues=frozenset({"greet"}))),
        (("--site", "beta"), "site beta", Pauses(sites=frozenset({"beta"}))),
        (("greet", "--site", "beta"), "queue greet of site beta", Pauses(shares=frozenset({("greet", "beta")}))),
    ],
)
def test_a_pause_lasts_until_it_is_resumed_in_the_same_words(
    operator: Any, arguments: tuple[str, ...], what: str, pauses: Pauses
) -> None:
    assert operator("pause", *arguments).stdout == f"paused {what}\n"
    assert operator.store.pauses() == pauses
    assert operator("resume", *arguments).stdout == f"resumed {what}\n"
    assert operator.store.pauses() == Pauses()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what: a QUEUE, --site SITE, or both"),
        (("gret",), "queue gret has no handler"),
        (("--site", "gamma"), "site 'gamma' is not configured"),
        (("a/b",), "'a/b' is no queue name"),
    ],
)
def test_what_can_not_be_paused_is_wrong_use(operator: Any, arguments: tuple[str, ...], message: str) -> None:
    result = operator("pause", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not operator.state.exists()


def test_the_pause_of_a_queue_that_is_gone_can_be_taken_back(operator: Any) -> None:
    operator.store.pause("former", None, True)
    assert operator("resume", "former").exit_code == 0
    assert operator.store.pauses() == Pauses()


@pytest.mark.parametrize("arguments", [(), ("--local",)])
def test_stop_asks_the_daemon(operator: Any, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(steer, "call", lambda *request: asked.append(request) or {"stopping": True})
    result = operator("stop", *arguments)
    assert (result.exit_code, result.stdout) == (0, "stopping: jobs in hand get 25 s to end\n")
    assert asked == [(operator.state / "control.sock", "stop")]


def test_stop_without_a_daemon_fails(operator: Any) -> None:
    result = operator("stop")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"snqctl: no daemon answers at {operator.state / 'control.sock'}")


def test_stop_reaches_the_daemon_in_spite_of_a_wrong_file(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(steer, "call", lambda *request: asked.append(request) or {"stopping": True})
    operator.configure("[queue]\nsubsystem = stomp\nstomp_server = localhost\nhalf an edit\n")
    result = operator("stop", "--local")
    assert (result.exit_code, result.stdout) == (0, "stopping: jobs in hand get 25 s to end\n")
    assert "is no setting" in result.stderr
    assert f"the configuration is wrong: the daemon is asked nevertheless, at {operator.state}" in result.stderr
    result = operator("stop")
    assert (result.exit_code, result.stdout) == (1, "stopping: jobs in hand get 25 s to end\n")
    assert f"other hosts' daemons are not told: mend {operator.config} first" in result.stderr
    assert asked == [(operator.state / "control.sock", "stop")] * 2


def test_what_needs_the_store_is_refused_while_the_file_is_wrong(operator: Any) -> None:
    operator.configure("half an edit\n")
    for command in (("resume", "greet"), ("pause", "greet"), ("update",)):
        result = operator(*command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "is no setting" in result.stderr
