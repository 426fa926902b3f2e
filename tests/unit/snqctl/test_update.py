"""``snqctl update`` and ``restart``, with a daemon that gives prepared answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snqd.ops.control import ControlFailed
from snqd.snqctl import update

NOTHING = {
    "problems": [],
    "traceback": "",
    "changed": False,
    "now": [],
    "after_restart": [],
    "after_stop_and_start": [],
    "sites": {"added": [], "changed": [], "removed": []},
}


class Daemon:
    """:ivar calls: what it was asked. :ivar answer: what it says; an exception is raised."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.answer: Any = NOTHING

    def __call__(self, path: Path, command: str, timeout: float | None, **arguments: Any) -> Any:
        self.calls.append((command, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    made = Daemon()
    monkeypatch.setattr(update, "call", made)
    return made


def test_an_update_without_a_change_says_so(operator: Any, daemon: Daemon) -> None:
    result = operator("update")
    assert (result.exit_code, result.stdout) == (0, "nothing has changed\n")
    assert daemon.calls == [("update", {})]


def test_an_update_says_what_has_changed_and_what_has_to_wait(operator: Any, daemon: Daemon) -> None:
    daemon.answer = {
        **NOTHING,
        "changed": True,
        "now": ["[handlers] feed", "[queue] monitor"],
        "after_restart": ["[queue] lease"],
        "after_stop_and_start": ["[queue] db"],
        "children": ["t.main.2"],
        "sites": {"added": [f"s{n}" for n in range(10)], "changed": [], "removed": ["old"]},
    }
    assert operator("update").stdout.splitlines() == [
        "changed: [handlers] feed, [queue] monitor",
        "takes effect with snqctl restart: [queue] lease",
        "takes effect when the daemon is stopped and started: [queue] db",
        "children that lagged behind are brought up to date: t.main.2",
        "sites added: s0, s1, s2, s3, s4, s5, s6, s7, and 2 more",
        "sites removed: old",
    ]


def test_a_refused_update_lists_the_problems_and_the_traceback(operator: Any, daemon: Daemon) -> None:
    daemon.answer = {"problems": ["one is wrong", "two is wrong"], "traceback": "Traceback\n  here\n"}
    result = operator("update")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "snqctl: Traceback",
        "  here",
        "snqctl: one is wrong",
        "snqctl: two is wrong",
    ]


def test_one_site_can_be_updated(operator: Any, daemon: Daemon) -> None:
    assert operator("update", "alpha").exit_code == 0
    assert daemon.calls == [("update", {"site": "alpha"})]
    assert operator("update", "a/b").exit_code == 2


def test_a_restart_says_how_many(operator: Any, daemon: Daemon) -> None:
    daemon.answer = {"problems": [], "replaced": 3}
    result = operator("restart", "--local")
    assert (result.exit_code, result.stdout) == (0, "restarted: 3 children were replaced\n")
    daemon.answer = {"problems": [], "replaced": 1}
    assert operator("restart", "--local").stdout == "restarted: 1 child was replaced\n"


def test_a_restart_that_stopped_fails_and_one_with_a_wrong_configuration_is_wrong_use(
    operator: Any, daemon: Daemon
) -> None:
    daemon.answer = ControlFailed("the daemon refused restart: it has stopped")
    result = operator("restart")
    assert (result.exit_code, result.stderr) == (1, "snqctl: the daemon refused restart: it has stopped\n")
    daemon.answer = {"problems": ["one is wrong"]}
    assert operator("restart").exit_code == 2


def test_without_a_daemon_both_fail(operator: Any) -> None:
    assert operator("update").exit_code == 1
    assert operator("restart").exit_code == 1
