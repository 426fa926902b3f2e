"""IoMaster: managers from their start to their drain."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from snqd.io.entry_points import ManagerFailed
from snqd.io.interface import IIoManager, Scope
from snqd.io.io_manager import IoManager
from snqd.io.io_master import DRAIN_GRACE, IoMaster


class Recorder(IoManager):
    """Notes its calls as NAME VERB."""

    def __init__(self, name: str, notes: list[str]) -> None:
        super().__init__()
        self.setName(name)
        self.notes = notes
        self.figures: dict[str, Any] = {}
        self.started: Deferred[Any] = succeed(None)
        self.drained: Deferred[Any] = succeed(None)

    def note(self, verb: str) -> None:
        self.notes.append(f"{self.name} {verb}")

    def start(self, master: Any) -> Deferred[Any]:
        self.note("start")
        super().start(master)
        return self.started

    def idle(self) -> None:
        self.note("idle")

    def quiet(self) -> None:
        self.note("quiet")

    def drain(self, timeout: float) -> Deferred[Any]:
        self.note(f"drain {timeout}")
        return self.drained

    def stop(self) -> Deferred[Any]:
        self.note("stop")
        return succeed(None)

    def report(self) -> dict[str, Any]:
        return self.figures


class Crew:
    """An IoMaster with managers a and b."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.notes: list[str] = []
        self.states: list[tuple[str, str]] = []
        self.codes: list[int] = []
        self.a, self.b = Recorder("a", self.notes), Recorder("b", self.notes)
        self.master = IoMaster(
            self.clock, [self.a, self.b], lambda *state: self.states.append(state), self.codes.append
        )

    def began(self) -> Crew:
        self.master.start()
        self.notes.clear()
        return self


@pytest.fixture
def crew() -> Crew:
    return Crew()


def test_the_base_class_is_a_manager() -> None:
    assert verifyObject(IIoManager, IoManager())
    assert IoManager().scope is Scope.INSTANCE_PER_PROCESS


def test_managers_start_one_after_the_other(crew: Crew) -> None:
    crew.a.started = Deferred()
    up = crew.master.start()
    assert crew.notes == ["a start"]
    assert crew.master.state == "init"
    crew.a.started.callback(None)
    assert crew.notes == ["a start", "b start"]
    assert up.called
    assert crew.master.state == "listening"


def test_managers_that_are_services_run_with_the_master(crew: Crew) -> None:
    inner = Service()
    crew.a.addService(inner)
    crew.began()
    assert inner.running
    assert crew.a.parent is crew.master
    crew.master.stop()
    assert not inner.running


def test_a_failing_start_names_the_manager_and_stops_those_before_it(crew: Crew) -> None:
    crew.b.started = fail(OSError("address in use"))
    failures: list[Failure] = []
    crew.master.start().addErrback(failures.append)
    (failure,) = failures
    assert failure.check(ManagerFailed)
    assert failure.getErrorMessage() == "I/O manager b failed to start: address in use"
    assert isinstance(failure.value.__cause__, OSError)
    assert crew.notes == ["a start", "b start", "a stop"]
    assert crew.clock.getDelayedCalls() == []


def test_quiet_seconds_bring_idle_calls(crew: Crew) -> None:
    crew.began()
    crew.clock.pump([1, 1])
    assert crew.notes == ["a idle", "b idle"] * 2
    assert [state for state, _ in crew.states] == ["listening", "idle", "sleep"]


def test_work_puts_off_the_idle_calls(crew: Crew) -> None:
    crew.began()
    crew.master.working("mail")
    crew.clock.advance(1)
    assert crew.notes == []
    assert crew.states[-1] == ("queue", "mail")
    crew.clock.advance(1)
    assert crew.notes == ["a idle", "b idle"]


def test_jobs_in_flight_are_work(crew: Crew) -> None:
    crew.began()
    crew.b.figures = {"in_flight": 2, "shares": [["mail", "alpha", 2]]}
    crew.clock.pump([1, 1])
    assert crew.notes == []
    assert crew.states[-1] == ("queue", "mail")


def test_an_idle_call_that_raises_does_not_keep_the_others_from_theirs(crew: Crew) -> None:
    crew.began()
    crew.a.idle = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    crew.clock.pump([1, 1])
    assert crew.notes == ["b idle", "b idle"]


def test_reports_are_added_up(crew: Crew) -> None:
    crew.began()
    crew.a.figures = {"in_flight": 2, "claimed": {"mail": 3}, "shares": [["mail", "alpha", 2]]}
    held = {"claimed": {"mail": 1, "feed": 2}, "unsettled": {"feed": 4}}
    crew.b.figures = {"in_flight": 1, "shares": [["feed", "beta", 1]], "solo_waiting": True, "trouble": "down", **held}
    assert crew.master.report() == {
        "state": "listening",
        "in_flight": 3,
        "claimed": {"mail": 4, "feed": 2},
        "unsettled": {"feed": 4},
        "solo_waiting": True,
        "trouble": "down",
        "holder": None,
        "shares": [["mail", "alpha", 2], ["feed", "beta", 1]],
        "managers": {},
    }


def test_what_a_manager_waits_for_while_it_starts_is_reported(crew: Crew) -> None:
    crew.b.started = Deferred()
    crew.b.figures = {"trouble": "no store yet"}
    crew.master.start()
    assert (crew.master.report()["state"], crew.master.report()["trouble"]) == ("init", "no store yet")
    crew.b.figures = {"in_flight": 1}
    crew.b.started.callback(None)
    assert (crew.master.report()["trouble"], crew.master.report()["in_flight"]) == (None, 1)


def test_a_report_that_raises_does_not_hide_the_others(crew: Crew) -> None:
    crew.began()
    crew.a.report = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    crew.b.figures = {"in_flight": 1}
    assert crew.master.report()["in_flight"] == 1


@pytest.mark.parametrize("figures", [{"in_flight": "many"}, {"shares": 7}, None])
def test_a_report_that_is_none_does_not_hide_the_others(crew: Crew, figures: Any) -> None:
    crew.began()
    crew.a.figures = figures
    crew.b.figures = {"in_flight": 1}
    assert crew.master.report()["in_flight"] == 1


def test_a_reload_is_told_to_managers_from_the_beginning_of_their_start(crew: Crew) -> None:
    told: list[Any] = []
    for manager in (crew.a, crew.b):
        manager.reloaded = lambda *sites, name=manager.name: told.append((name, sites))  # type: ignore[method-assign]
    crew.master.reloaded(["new"], [], [])
    crew.b.started = Deferred()
    crew.master.start()
    crew.master.reloaded(["new"], ["other"], ["gone"])
    assert told == [("a", (["new"], ["other"], ["gone"])), ("b", (["new"], ["other"], ["gone"]))]


def test_a_manager_that_raises_on_a_reload_does_not_keep_it_from_the_others(crew: Crew) -> None:
    told: list[Any] = []
    crew.a.reloaded = lambda *sites: 1 / 0  # type: ignore[method-assign,assignment]
    crew.b.reloaded = lambda *sites: told.append(sites)  # type: ignore[method-assign,assignment]
    crew.began().master.reloaded([], [], [])
    assert told == [([], [], [])]


def test_a_manager_that_failed_to_start_can_be_followed_by_another_of_its_name(crew: Crew) -> None:
    crew.began()
    first = Recorder("c", crew.notes)
    first.started = fail(OSError("address in use"))
    failures: list[Failure] = []
    crew.master.attach(first).addErrback(failures.append)
    assert "address in use" in failures[0].getErrorMessage()
    assert first.parent is None
    crew.master.attach(Recorder("c", crew.notes))
    assert crew.notes == ["c start", "c start"]


def test_a_manager_that_is_still_starting_can_be_detached(crew: Crew) -> None:
    crew.began()
    late = Recorder("c", crew.notes)
    late.started = Deferred()
    attached = crew.master.attach(late)
    detached = crew.master.detach(late, 5)
    assert attached.called
    assert detached.called
    assert late.parent is None
    assert crew.notes == ["c start"]
    assert crew.master.report()["in_flight"] == 0


def test_a_manager_that_raises_when_it_is_told_to_be_quiet_is_detached_all_the_same(crew: Crew) -> None:
    crew.began()
    crew.a.quiet = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    crew.master.detach(crew.a, 5)
    assert crew.notes == ["a drain 5", "a stop"]


def test_polls_are_work_when_they_hit_and_end_with_the_drain(crew: Crew) -> None:
    crew.a.poll_interval = 8
    answers = [True, False]
    crew.a.poll = lambda: succeed(answers.pop(0))  # type: ignore[method-assign]
    crew.began()
    crew.clock.pump([0, 0])
    assert ("poll", "a") in crew.states
    assert ("queue", "a") in crew.states
    crew.master.drain(5)
    assert crew.clock.getDelayedCalls() == []


def test_drain_quiets_all_then_lets_them_finish(crew: Crew) -> None:
    crew.began()
    crew.a.drained = Deferred()
    drained = crew.master.drain(5)
    assert crew.notes == ["a quiet", "b quiet", "a drain 5", "b drain 5"]
    assert crew.master.state == "shutdown"
    assert not drained.called
    crew.a.drained.callback(None)
    assert drained.called
    assert crew.clock.getDelayedCalls() == []


def test_a_manager_that_does_not_drain_is_left_behind(crew: Crew) -> None:
    crew.began()
    crew.a.drained = Deferred()
    drained = crew.master.drain(5)
    crew.clock.advance(5 + DRAIN_GRACE)
    assert drained.called


def test_a_drain_that_fails_does_not_stop_the_others(crew: Crew) -> None:
    crew.began()
    crew.a.drained = fail(RuntimeError("lost"))
    assert crew.master.drain(5).called


def test_stop_runs_backwards_even_past_a_failure(crew: Crew) -> None:
    crew.began()
    crew.b.stop = lambda: fail(RuntimeError("stuck"))  # type: ignore[method-assign]
    assert crew.master.stop().called
    assert crew.notes == ["a stop"]
    assert not crew.master.running
    assert crew.clock.getDelayedCalls() == []


def test_nothing_leads_out_of_shutdown(crew: Crew) -> None:
    crew.began()
    crew.master.quiet()
    crew.master.working("mail")
    assert crew.master.state == "shutdown"
    assert crew.states[-1] == ("shutdown", "")


def test_a_manager_can_ask_for_the_end_of_the_process(crew: Crew) -> None:
    crew.began()
    assert crew.b.master is not None
    crew.b.master.leave(101)
    assert crew.codes == [101]


def test_a_manager_can_come_and_go_while_the_others_work(crew: Crew) -> None:
    crew.began()
    crew.notes.clear()
    late = Recorder("late", crew.notes)
    late.figures = {"in_flight": 4}
    crew.master.attach(late)
    assert crew.notes == ["late start"]
    assert crew.master.report()["in_flight"] == 4
    late.drained = Deferred()
    left = crew.master.detach(late, 9.0)
    assert crew.notes == ["late start", "late quiet", "late drain 9.0"]
    late.drained.callback(None)
    assert left.called
    assert crew.notes[-1] == "late stop"
    assert crew.master.report()["in_flight"] == 0
    assert late not in list(crew.master)


def test_a_polled_manager_that_goes_is_polled_no_more(crew: Crew) -> None:
    crew.began()
    late = Recorder("late", crew.notes)
    late.poll_interval = 1
    polls: list[float] = []
    late.poll = lambda: succeed(bool(polls.append(crew.clock.seconds())))  # type: ignore[method-assign]
    crew.master.attach(late)
    crew.clock.advance(0)
    crew.master.detach(late, 0.0)
    crew.clock.advance(60)
    assert len(polls) == 1


def test_a_manager_that_comes_while_all_go_is_not_started(crew: Crew) -> None:
    crew.began()
    crew.master.drain(1.0)
    late = Recorder("late", crew.notes)
    crew.master.attach(late)
    assert "late start" not in crew.notes


def test_what_is_held_back_starts_when_it_is_told_to(crew: Crew) -> None:
    crew.a.scope = Scope.SINGLE_ONLY
    crew.master.hold(lambda manager: manager.scope is Scope.SINGLE_ONLY)
    crew.began()
    assert crew.a.master is None
    assert crew.b.master is crew.master
    crew.master.start_held()
    assert crew.notes == ["a start"]
    crew.master.start_held()
    assert crew.notes == ["a start"]


def test_a_manager_that_comes_while_its_kind_is_held_back_waits_too(crew: Crew) -> None:
    crew.master.hold(lambda manager: manager is not crew.a)
    crew.began()
    late = Recorder("late", crew.notes)
    crew.master.attach(late)
    assert crew.notes == []
    crew.master.start_held()
    assert crew.notes == ["b start", "late start"]


def test_a_manager_that_goes_while_it_is_held_back_never_starts(crew: Crew) -> None:
    crew.master.hold(lambda manager: True)
    crew.began()
    assert crew.master.detach(crew.b, 9.0).called
    crew.a.started = Deferred()
    crew.master.start_held()
    crew.a.started.callback(None)
    assert crew.notes == ["a start"]


def test_what_is_held_back_and_can_not_start_is_named(crew: Crew) -> None:
    crew.master.hold(lambda manager: manager is crew.a)
    crew.began()
    crew.a.started = fail(ValueError("no key"))
    failures: list[Failure] = []
    crew.master.start_held().addErrback(failures.append)
    assert failures[0].check(ManagerFailed)
    assert failures[0].getErrorMessage() == "I/O manager a failed to start: no key"
