"""Replacing a child: the fresh one first, one at a time, and never twice where that is not allowed."""

from __future__ import annotations

from signal import SIGTERM
from typing import Any

import pytest
from twisted.python.failure import Failure

from snqd.daemon.replacement import ReplacementFailed

EXCLUSIVE = "[handlers]\nmail = exec: true\n[group:xmpp]\nqueues = mail\nexclusive = yes\n"


class Replaced:
    """:ivar ends: None once it was done, or why it failed."""

    def __init__(self, stage: Any, group: str = "main", n: int = 1) -> None:
        self.stage = stage
        self.group = stage.daemon.group(group)
        self.ends: list[Any] = []
        self.group.replacements.replace(n, 20.0).addBoth(self.ends.append)

    @property
    def failed(self) -> str:
        (failure,) = self.ends
        assert isinstance(failure, Failure)
        assert failure.check(ReplacementFailed)
        return failure.getErrorMessage()


def pids(stage: Any) -> list[int]:
    return [process.pid for process in stage.reactor.living]


def states(stage: Any) -> list[tuple[int, str]]:
    return [(child["n"], child["state"]) for child in stage.group()["children"]]


def test_the_fresh_child_comes_up_before_the_old_one_drains(stage: Any) -> None:
    s = stage().started_ready()
    (old,) = s.reactor.living
    replaced = Replaced(s)
    fresh = s.reactor.living[1]
    assert old.child.stops == 0
    assert states(s) == [(1, "queue"), (1, "init")]
    fresh.child.ready()
    s.reactor.advance(0)
    assert old.child.stops == 1
    assert not replaced.ends
    assert states(s) == [(1, "queue"), (1, "shutdown")]
    old.exits(0)
    assert replaced.ends == [None]
    assert pids(s) == [fresh.pid]
    assert [child["restarts"] for child in s.group()["children"]] == [1]


def test_the_fresh_child_is_supervised_like_any_other(stage: Any) -> None:
    s = stage().started_ready()
    Replaced(s)
    old, fresh = s.reactor.living
    fresh.child.ready()
    old.exits(0)
    fresh.exits(killed_by=9)
    s.reactor.advance(1)
    assert [process.spec.id for process in s.reactor.living] == ["t.main.1"]
    assert s.group()["children"][0]["restarts"] == 2


def test_a_fresh_child_that_can_not_boot_leaves_the_old_one_at_work(stage: Any) -> None:
    s = stage().started_ready()
    replaced = Replaced(s)
    old, fresh = s.reactor.living
    fresh.child.boot_failed("no module named nope")
    fresh.exits(1)
    assert replaced.failed == "child t.main.1 did not come up: no module named nope"
    assert pids(s) == [old.pid]
    s.reactor.advance(60)
    assert pids(s) == [old.pid]
    assert (old.child.stops, s.group()["state"]) == (0, "running")


def test_no_process_to_be_had_leaves_the_old_one_at_work(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.spawn_error = OSError(11, "Resource temporarily unavailable")
    replaced = Replaced(s)
    assert "no process can be made" in replaced.failed
    s.reactor.advance(60)
    assert len(s.reactor.living) == 1


def test_one_child_of_a_group_at_a_time(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    first, second = Replaced(s), Replaced(s, n=2)
    assert len(s.reactor.living) == 3
    assert s.daemon.group("main").replacements.under_way
    s.reactor.living[2].child.ready()
    one.exits(0)
    assert first.ends == [None]
    assert [process.spec.n for process in s.reactor.living] == [2, 1, 2]
    s.reactor.living[2].child.ready()
    two.exits(0)
    assert second.ends == [None]
    assert not s.daemon.group("main").replacements.under_way


def test_an_old_child_that_dies_meanwhile_is_replaced_all_the_same(stage: Any) -> None:
    s = stage().started_ready()
    replaced = Replaced(s)
    old, fresh = s.reactor.living
    old.exits(killed_by=9)
    fresh.child.ready()
    s.seconds(3)
    assert replaced.ends == [None]
    assert pids(s) == [fresh.pid]


def test_an_exclusive_child_is_gone_before_the_next_one_takes_over(stage: Any) -> None:
    s = stage(EXCLUSIVE).started_ready()
    old = s.reactor.named("t.xmpp.1")
    replaced = Replaced(s, "xmpp")
    fresh = s.reactor.living[-1]
    assert fresh.spec.standby
    assert not old.spec.standby
    fresh.child.ready()
    s.reactor.advance(0)
    assert old.child.stops == 1
    assert fresh.child.take_overs == 0
    old.exits(0)
    s.reactor.advance(0)
    assert fresh.child.take_overs == 1
    assert replaced.ends == [None]


def test_only_the_first_child_of_a_group_hands_over(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    Replaced(s, n=1)
    Replaced(s, n=2)
    one, two = s.reactor.living[:2]
    assert s.reactor.living[2].spec.standby
    s.reactor.living[2].child.ready()
    one.exits(0)
    assert not s.reactor.living[-1].spec.standby
    s.reactor.living[-1].child.ready()
    two.exits(0)


def test_an_exclusive_child_that_can_not_boot_leaves_the_old_one_at_work(stage: Any) -> None:
    s = stage(EXCLUSIVE).started_ready()
    old = s.reactor.named("t.xmpp.1")
    replaced = Replaced(s, "xmpp")
    s.reactor.living[-1].exits(1)
    assert "did not come up" in replaced.failed
    s.seconds(3)
    assert s.reactor.named("t.xmpp.1") is old
    assert old.child.stops == 0


def test_who_waits_for_the_hand_over_and_dies_is_followed_by_one_that_waits_too(stage: Any) -> None:
    s = stage(EXCLUSIVE).started_ready()
    old = s.reactor.named("t.xmpp.1")
    replaced = Replaced(s, "xmpp")
    s.reactor.living[-1].child.ready()
    s.reactor.living[-1].exits(killed_by=9)
    s.seconds(1)
    second = s.reactor.living[-1]
    assert second.spec.standby
    old.exits(0)
    assert replaced.ends == [None]
    second.child.ready()
    s.reactor.advance(0)
    assert second.child.take_overs == 1


def test_stop_ends_a_replacement_with_all_its_children(stage: Any) -> None:
    s = stage().started_ready()
    replaced, waiting = Replaced(s), Replaced(s)
    old, fresh = s.reactor.living
    stopped = s.stop()
    assert fresh.signals == [SIGTERM]
    fresh.exits(killed_by=15)
    assert "did not come up" in replaced.failed
    assert waiting.failed == "the daemon stops"
    assert not stopped.called
    old.exits(0)
    assert stopped.called


@pytest.mark.parametrize("fresh_is_up", [False, True])
def test_stop_while_the_old_child_drains(stage: Any, fresh_is_up: bool) -> None:
    s = stage("" if fresh_is_up else EXCLUSIVE).started_ready()
    Replaced(s, "main" if fresh_is_up else "xmpp")
    if fresh_is_up:
        s.reactor.living[1].child.ready()
    stopped = s.stop()
    for process in s.reactor.living:
        process.exits(0)
    assert stopped.called
    assert not s.reactor.living


def test_the_next_child_is_told_which_are_gone(stage: Any) -> None:
    s = stage(EXCLUSIVE).started_ready()
    gone = []
    for _ in range(3):
        child = s.reactor.named("t.xmpp.1")
        assert child.spec.gone == tuple(gone)
        gone.append(child.spec.incarnation)
        child.exits(killed_by=9)
        s.seconds(5)
