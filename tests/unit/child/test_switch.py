"""How a child goes over to another configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from snqd.child.configuration import BIG_CHARS, ChildConfiguration
from snqd.child.switch import Following, NothingPrepared, Switch
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.errors import SnqdError
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.commands import CommandFailed
from snqd.pipe.version import VERSION

MAIN = "/f/snq.ini"


class Taking:
    """A participant: notes what it does.

    :ivar error: what `prepare` raises.
    """

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes
        self.error: Exception | None = None

    def prepare(self, settings: Settings) -> Any:
        if self.error is not None:
            raise self.error
        self.notes.append(f"prepare {self.name}")
        return self

    def commit(self) -> None:
        self.notes.append(f"commit {self.name}")

    def drop(self) -> None:
        self.notes.append(f"drop {self.name}")


class Switched:
    """A switch with two participants, `one` and `two`.

    :ivar threads: calls that wait for a thread, for the test to make.
    """

    def __init__(self) -> None:
        text = json.dumps({"path": MAIN, "files": {MAIN: "[snqd]\nid = t\n"}})
        spec = ChildSpec(VERSION, Sources.from_json(text).to_json(), None, None, "main", 1, "t.main.1", "x", "normal")
        self.notes: list[str] = []
        self.one, self.two = Taking("one", self.notes), Taking("two", self.notes)
        self.threads: list[Callable[[], Any]] = []
        self.configuration = ChildConfiguration(spec, self._in_thread)
        self.switch = Switch(self.configuration, [self.one, self.two])

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.threads.append(lambda: maybeDeferred(function, *arguments).chainDeferred(done))
        return done

    def prepare(self, timeout: int, padding: int = 0) -> list[Any]:
        text = f"[snqd]\nid = t\ndrain_timeout = {timeout}\n" + "#" * padding
        answers: list[Any] = []
        self.switch.prepare(SourceChanges({MAIN: text}).to_json(), f"d{timeout}", []).addBoth(answers.append)
        return answers

    @property
    def timeout(self) -> float:
        return self.configuration.settings.daemon.drain_timeout

    def noted(self) -> list[str]:
        """What was done since the last call."""
        noted = self.notes.copy()
        self.notes.clear()
        return noted


@pytest.fixture
def switched() -> Switched:
    return Switched()


FINE = {"problems": [], "traceback": ""}


def test_all_prepare_in_order_and_commit_in_order(switched: Switched) -> None:
    assert switched.prepare(7) == [FINE]
    assert switched.noted() == ["prepare one", "prepare two"]
    assert switched.timeout == 25
    assert switched.switch.commit("d7") == "d7"
    assert switched.noted() == ["commit one", "commit two"]
    assert switched.timeout == 7


def test_a_drop_lets_go_in_reverse_order_and_nothing_holds(switched: Switched) -> None:
    switched.prepare(7)
    switched.noted()
    switched.switch.drop()
    assert switched.noted() == ["drop two", "drop one"]
    assert switched.timeout == 25


def test_if_one_can_not_prepare_those_before_it_are_dropped(switched: Switched) -> None:
    switched.two.error = SnqdError("no second monitor")
    (answer,) = switched.prepare(7)
    assert answer["problems"] == ["no second monitor"]
    assert switched.noted() == ["prepare one", "drop one"]


def test_what_was_prepared_is_dropped_by_the_next(switched: Switched) -> None:
    switched.prepare(7)
    switched.noted()
    switched.prepare(8)
    assert switched.noted() == ["drop two", "drop one", "prepare one", "prepare two"]
    switched.switch.commit("d8")
    assert switched.timeout == 8


def test_what_was_not_prepared_is_not_committed(switched: Switched) -> None:
    with pytest.raises(CommandFailed):
        switched.switch.commit("d7")
    switched.prepare(7)
    with pytest.raises(CommandFailed):
        switched.switch.commit("d8")
    assert switched.timeout == 25
    assert switched.switch.commit("d7") == "d7"


def test_if_one_can_not_commit_the_others_do_and_the_parent_is_told(
    switched: Switched, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    def fails() -> None:
        raise KeyError("colour")

    switched.prepare(7)
    monkeypatch.setattr(switched.one, "commit", fails)
    with pytest.raises(CommandFailed, match="see the log"):
        switched.switch.commit("d7")
    assert switched.noted()[2:] == ["commit two"]
    assert any(line.startswith("critical: a part of the child") for line in logged)


def test_a_participant_may_have_nothing_to_prepare() -> None:
    followed: list[Any] = []
    settings: Any = "settings"
    prepared = Following(followed.append).prepare(settings)
    assert followed == []
    prepared.drop()
    prepared.commit()
    assert followed == [settings]
    NothingPrepared().commit()
    NothingPrepared().drop()


def in_thread(switched: Switched, timeout: int) -> list[Any]:
    """Prepare a configuration so large that it is parsed in a thread."""
    return switched.prepare(timeout, BIG_CHARS + 1)


def test_a_drop_also_ends_what_is_still_being_prepared(switched: Switched) -> None:
    answers = in_thread(switched, 7)
    switched.switch.drop()
    switched.threads.pop()()
    assert answers[0]["problems"] == ["the parent has decided otherwise meanwhile"]
    assert switched.noted() == []


def test_of_two_that_are_prepared_at_once_the_last_one_counts_however_long_it_takes(switched: Switched) -> None:
    first, second = in_thread(switched, 7), in_thread(switched, 8)
    one, two = switched.threads
    two()
    one()
    assert first[0]["problems"]
    assert second == [FINE]
    switched.switch.commit("d8")
    assert switched.noted() == ["prepare one", "prepare two", "commit one", "commit two"]
    assert switched.timeout == 8
