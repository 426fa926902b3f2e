"""What a running daemon can be asked to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, globalLogPublisher

from snqd.config.config_diff import Changes, SiteChanges
from snqd.config.key import TakesEffect
from snqd.core.errors import ConfigError
from snqd.daemon.reload import NotTaken
from snqd.daemon.rolling_restart import RestartStopped
from snqd.ops.update_commands import UpdateCommands


class Asked:
    """A daemon with its reload and its rolling restart: gives the prepared answers and notes what it is asked."""

    def __init__(self) -> None:
        self.settings = self
        self.sites = {"alpha": None}
        self.path = "/etc/snq.ini"
        self.answer: Any = Changes()
        self.calls: list[str] = []
        self.commands = UpdateCommands(self, self, self, self)  # type: ignore[arg-type]

    def _give(self, call: str) -> Deferred[Any]:
        self.calls.append(call)
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)

    def update(self) -> Deferred[Any]:
        return self._give("update")

    def look(self, afresh: bool) -> Deferred[Any]:
        return self._give(f"look {afresh}")

    def roll(self) -> Deferred[Any]:
        return self._give("roll")

    def reloading(self) -> None:
        self.calls.append("reloading")

    def reloaded(self) -> None:
        self.calls.append("reloaded")

    def ask(self, command: str, **request: Any) -> Any:
        seen: list[Any] = []
        self.commands.commands()[command](request).addBoth(seen.append)
        return seen[0]


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    yield seen
    globalLogPublisher.removeObserver(seen.append)


def test_an_update_is_answered_with_what_has_changed(asked: Asked) -> None:
    asked.answer = Changes({"[queue] db": TakesEffect.IN_A_FRESH_DAEMON}, SiteChanges(added=("beta",)))
    assert asked.ask("update") == {
        "problems": [],
        "traceback": "",
        "changed": True,
        "now": [],
        "after_restart": [],
        "after_stop_and_start": ["[queue] db"],
        "children": [],
        "sites": {"added": ["beta"], "changed": [], "removed": []},
    }
    assert asked.calls == ["reloading", "update", "reloaded"]


def test_a_refused_update_is_answered_and_logged_with_its_problems(asked: Asked, events: list[Any]) -> None:
    asked.answer = NotTaken(["mail: can't import"], "Traceback: here")
    assert asked.ask("update") == {"problems": ["mail: can't import"], "traceback": "Traceback: here"}
    assert [event["problems"] for event in events] == ["mail: can't import"]
    assert asked.calls[-1] == "reloaded"


def test_one_site_is_looked_at_afresh(asked: Asked) -> None:
    assert asked.ask("update", site="alpha")["changed"] is False
    assert asked.calls == ["reloading", "look True", "reloaded"]
    asked.answer = Changes(sites=SiteChanges(removed=("gamma",)))
    assert asked.ask("update", site="gamma")["problems"] == []


def test_an_update_of_a_site_that_nobody_knows_is_answered_so_and_is_no_error(asked: Asked, events: list[Any]) -> None:
    problem = "site 'gamma' is not configured in /etc/snq.ini"
    assert asked.ask("update", site="gamma") == {"problems": [problem], "traceback": ""}
    assert [(event["log_level"], event["problem"]) for event in events] == [(LogLevel.info, problem)]


def test_a_restart_is_answered_when_it_is_done(asked: Asked) -> None:
    asked.answer = 4
    assert asked.ask("restart") == {"problems": [], "replaced": 4}
    asked.answer = ConfigError(["/etc/snq.ini:1: wrong"])
    assert asked.ask("restart")["problems"] == ["/etc/snq.ini:1: wrong"]
    asked.answer = RestartStopped("it has stopped")
    assert asked.ask("restart").check(RestartStopped)


def test_signals_ask_for_the_same(asked: Asked) -> None:
    asked.commands.hang_up()
    asked.answer = 2
    asked.commands.user_signal()
    asked.answer = RestartStopped("it has stopped")
    asked.commands.user_signal()
    assert asked.calls == ["reloading", "update", "reloaded", "roll", "roll"]
