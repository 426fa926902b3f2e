"""A rolling restart, without processes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.python.failure import Failure

from snqd.core.errors import ConfigError
from snqd.daemon.rolling_restart import RestartStopped, RollingRestart

HANDLERS = "[handlers]\nmail = exec: true\n"
SLOW = HANDLERS + "feed = exec: true\n[group:slow]\nqueues = feed\n"


class Roll:
    """A rolling restart that has begun."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.rolling = RollingRestart(stage.daemon, stage.reload())
        self.results: list[Any] = []

    def begin(self) -> Roll:
        self.rolling.roll().addBoth(self.results.append)
        self.stage.reactor.advance(0)
        return self

    def fresh(self) -> Any:
        """The youngest process."""
        return self.stage.reactor.living[-1]

    def next_is_up(self) -> None:
        """The fresh child is ready, and the one before it drains and exits."""
        fresh = self.fresh()
        fresh.child.ready()
        self.stage.reactor.advance(0)
        (old,) = [each for each in self.stage.reactor.living if each.spec.id == fresh.spec.id and each is not fresh]
        assert old.child.stops == 1
        old.exits(0)
        self.stage.reactor.advance(0)


@pytest.fixture
def roll(stage: Any) -> Any:
    def make(more: str = HANDLERS, threads: int = 2) -> Roll:
        return Roll(stage(more, threads=threads).started_ready())

    return make


def test_every_child_of_every_group_is_replaced_one_after_the_other(roll: Any) -> None:
    r = roll(SLOW).begin()
    for name in ("t.main.1", "t.main.2", "t.slow.1"):
        assert r.fresh().spec.id == name
        assert len(r.stage.reactor.living) == 4
        assert r.results == []
        r.next_is_up()
    assert r.results == [3]
    assert len(r.stage.reactor.living) == 3


def test_a_fresh_child_that_can_not_boot_stops_it_and_the_others_go_on(roll: Any, logged: list[str]) -> None:
    r = roll().begin()
    r.next_is_up()
    r.fresh().child.boot_failed("can't import broken.Handler")
    r.fresh().exits(1)
    r.stage.reactor.advance(0)
    (failure,) = r.results
    assert failure.check(RestartStopped)
    assert "at child 2 of group main" in failure.getErrorMessage()
    assert "can't import broken.Handler" in failure.getErrorMessage()
    assert any(line.startswith("error: the rolling restart has stopped") for line in logged)
    assert len(r.stage.reactor.living) == 2
    assert [process.child.stops for process in r.stage.reactor.living] == [0, 0]
    r.begin()
    assert len(r.stage.reactor.living) == 3


def test_one_at_a_time(roll: Any) -> None:
    r = roll().begin()
    with pytest.raises(RestartStopped, match="under way already"):
        r.rolling.roll()


def test_a_wrong_configuration_keeps_it_from_beginning(roll: Any) -> None:
    r = roll()
    r.stage.write(HANDLERS + "[nope]\n", threads=2)
    r.begin()
    assert isinstance(r.results[0], Failure)
    assert r.results[0].check(ConfigError)
    assert len(r.stage.reactor.living) == 2
    r.stage.write(HANDLERS, threads=2)
    r.begin()
    assert len(r.stage.reactor.living) == 3


def test_fresh_children_have_the_configuration_of_now(roll: Any) -> None:
    r = roll()
    r.stage.write(HANDLERS + "[app:x]\ny = 1\n", threads=2)
    r.begin()
    assert "[app:x]" in r.fresh().spec.sources
    assert r.stage.daemon.settings.apps == {"x": {"y": "1"}}


def refusing(r: Roll) -> None:
    """The running children can't load what the configuration names: it takes new code."""
    for process in r.stage.reactor.living:
        process.child.prepare_answer = {"problems": ["no such class in this process"], "traceback": ""}
    r.stage.write(HANDLERS + "[app:x]\ny = 1\n", threads=2)


def test_a_configuration_that_takes_new_code_comes_with_the_fresh_children(roll: Any) -> None:
    r = roll()
    refusing(r)
    r.begin()
    assert "[app:x]" in r.fresh().spec.sources
    assert r.stage.daemon.settings.apps == {}
    r.next_is_up()
    r.next_is_up()
    assert r.results == [2]
    assert r.stage.daemon.settings.apps == {"x": {"y": "1"}}


def test_if_that_fails_the_old_configuration_stays_for_all(roll: Any) -> None:
    r = roll()
    refusing(r)
    r.begin()
    r.next_is_up()
    replaced = r.stage.reactor.named("t.main.1")
    r.fresh().exits(1)
    r.stage.reactor.advance(0)
    assert r.results[0].check(RestartStopped)
    assert r.stage.daemon.settings.apps == {}
    assert replaced.child.decisions == ["commit"]
    assert "[app:x]" not in str(replaced.child.prepared[-1][0])
    r.stage.reactor.named("t.main.2").exits(killed_by=9)
    r.stage.seconds(2)
    assert "[app:x]" not in r.fresh().spec.sources


def test_a_group_that_failed_is_tried_again_and_does_not_stop_the_others(stage: Any) -> None:
    s = stage(SLOW).start()
    s.reactor.named("t.main.1").child.ready()
    s.reactor.named("t.slow.1").exits(1)
    r = Roll(s).begin()
    r.next_is_up()
    assert r.results == [1]
    assert s.reactor.named("t.slow.1")


def test_a_solo_child_ends_and_comes_back_when_it_is_needed(roll: Any) -> None:
    r = roll(threads=1)
    r.stage.reactor.named("t.main.1").child.beat(solo_waiting=True)
    solo = r.stage.reactor.named("t.main.solo")
    solo.child.ready()
    r.begin()
    r.next_is_up()
    assert solo.child.stops == 1
    assert r.results == [1]


def test_the_daemons_end_ends_it_without_a_complaint(roll: Any, logged: list[str]) -> None:
    r = roll().begin()
    stopped = r.stage.stop()
    for process in r.stage.reactor.living:
        process.exits(0)
    assert stopped.called
    assert r.results[0].check(RestartStopped)
    assert not any(line.startswith("error: the rolling restart") for line in logged)
