"""Supervision, without processes: start, respawn, boot failures, hanging children, solo children, stop."""

from __future__ import annotations

import os
from signal import SIGABRT, SIGKILL, SIGTERM
from typing import Any

import pytest
from twisted.internet.defer import Deferred, TimeoutError

from snqd.config.sources import SourceChanges
from snqd.core.errors import AlreadyRunning
from snqd.daemon.child_process import LINGER
from snqd.daemon.child_slot import ABORT_GRACE, STOP_GRACE
from snqd.daemon.hang_watch import BOOT_TIMEOUT
from snqd.daemon.restart_policy import START_AT_ONCE, START_SPREAD
from snqd.pipe.commands import Commit, Prepare, TakeOver, Wake
from snqd.pipe.version import VERSION

EXCLUSIVE = "[handlers]\nmail = exec: true\n[group:xmpp]\nqueues = mail\nexclusive = yes\n"


def ids(stage: Any) -> list[str]:
    return [process.spec.id for process in stage.reactor.living]


def test_every_place_of_every_group_gets_a_child(stage: Any) -> None:
    s = stage(EXCLUSIVE, threads=2).start()
    assert ids(s) == ["t.main.1", "t.main.2", "t.xmpp.1"]
    assert [process.spec.role for process in s.reactor.processes] == ["normal", "normal", "exclusive"]


def test_many_children_do_not_all_start_at_once(stage: Any) -> None:
    s = stage(threads=START_AT_ONCE + 2)
    s.random.value = 1.0
    s.start()
    assert len(s.reactor.living) == START_AT_ONCE
    s.reactor.advance(START_SPREAD)
    assert len(s.reactor.living) == START_AT_ONCE + 1
    s.reactor.advance(START_SPREAD)
    assert len(s.reactor.living) == START_AT_ONCE + 2


def test_a_child_is_told_who_it_is_and_gets_the_whole_environment(stage: Any) -> None:
    reactor = stage().start().reactor
    spec = reactor.processes[0].spec
    assert (spec.version, spec.group, spec.n, spec.role) == (VERSION, "main", 1, "normal")
    assert spec.incarnation.startswith("t.main.1-")
    assert len(spec.incarnation) == len("t.main.1-") + 12
    arguments, keywords = reactor.spawned[0]
    assert arguments[1:] == ["-m", "snqd.child.child", "t.main.1"]
    assert keywords == {"env": None, "childFDs": {0: "w", 1: "r", 2: "r", 3: "w", 4: "r"}}


def test_status_shows_what_children_report(stage: Any) -> None:
    s = stage().started_ready()
    child = s.reactor.processes[0].child
    held = {"claimed": {"q": 3, "r": 1}, "unsettled": {"q": 5}}
    child.report_answer = {
        "report": {
            "state": "queue",
            "in_flight": 2,
            "handled": 9,
            "rss_bytes": 5,
            "shares": [["q", "a", 2]],
            **held,
            "managers": {"inbox": {"taken": 1}},
        },
        "counters": [["q", "a", 1, 9, 3, 1, 0.5]],
    }
    status = s.status()
    assert status["daemon"]["pid"] == 4711
    (shown,) = status["groups"][0]["children"]
    assert shown == {
        "n": 1,
        "id": "t.main.1",
        "pid": 1000,
        "state": "queue",
        "started": s.dates(),
        "restarts": 0,
        "rss_bytes": 5,
        "in_flight": 2,
        "claimed": 4,
        "unsettled": 5,
        "handled": 9,
        "rate": pytest.approx(0.9),
        "error": "",
        "trouble": None,
        "trouble_since": None,
        "managers": {"inbox": {"taken": 1}},
    }
    assert status["counters"] == [["q", "a", 1, 9, 3, 1, 2, pytest.approx(0.9)]]


def test_status_tells_why_a_childs_store_is_away_and_since_when(stage: Any) -> None:
    s = stage().started_ready()
    child = s.reactor.processes[0].child
    child.beat(trouble="no connection")
    since = s.dates()
    s.reactor.advance(5)
    child.report_answer = {"report": {"state": "idle", "trouble": "still none"}, "counters": []}
    (shown,) = s.status()["groups"][0]["children"]
    assert (shown["trouble"], shown["trouble_since"]) == ("still none", since)
    child.report_answer = {"report": {"state": "idle", "trouble": None}, "counters": []}
    (shown,) = s.status()["groups"][0]["children"]
    assert (shown["trouble"], shown["trouble_since"]) == (None, None)


def test_status_waits_a_second_at_most_for_a_child_that_does_not_answer(stage: Any) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    process.child.dataReceived = lambda data: None
    seen: list[Any] = []
    s.daemon.status().addCallback(seen.append)
    s.reactor.advance(0.9)
    assert not seen
    s.reactor.advance(0.2)
    assert seen[0]["groups"][0]["children"][0]["state"] == "listening"


def test_what_is_in_flight_shows_before_anything_was_counted(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.processes[0].child.report_answer = {"report": {"shares": [["q", "a", 1]]}, "counters": []}
    assert s.status()["counters"] == [["q", "a", 0, 0, 0, 0, 1, 0.0]]


def test_a_child_that_dies_is_replaced_after_spawndelay(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    first = s.reactor.processes[0]
    first.child.beat(settled=1)
    first.exits(killed_by=9)
    assert s.group()["children"][0]["state"] == "waiting"
    assert s.group()["children"][0]["error"] == "was killed by signal 9"
    s.reactor.advance(0.9)
    assert not s.reactor.living
    s.reactor.advance(0.1)
    (second,) = s.reactor.living
    assert second.spec.id == first.spec.id
    assert second.spec.incarnation != first.spec.incarnation
    assert "error: child t.main.1 was killed by signal 9" in logged


def test_a_child_that_dies_young_again_and_again_waits_longer_each_time(stage: Any) -> None:
    s = stage().started_ready()
    waits = []
    for _ in range(7):
        s.reactor.living[0].exits(killed_by=11)
        died = s.reactor.seconds()
        while not s.reactor.living:
            s.reactor.advance(0.5)
        waits.append(s.reactor.seconds() - died)
        s.reactor.living[0].child.ready()
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_exit_code_101_brings_a_child_at_once_and_100_ends_the_daemon(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.living[0].exits(101)
    s.reactor.advance(0)
    (second,) = s.reactor.living
    second.child.ready()
    assert s.ends == 0
    second.exits(100)
    assert s.ends == 1
    s.daemon.shut_down("asked twice")
    assert s.ends == 1


def test_a_boot_failure_that_is_told_fails_the_group_once_and_loudly(stage: Any, logged: list[str]) -> None:
    s = stage().start()
    for _ in range(2):
        s.reactor.living[0].child.boot_failed("no module named nope", "Traceback: nope")
        s.reactor.living[0].exits(1)
        assert s.group()["state"] == "failed"
        assert s.group()["reason"] == "no module named nope"
        s.reactor.advance(29)
        assert not s.reactor.living
        s.reactor.advance(1)
        assert len(s.reactor.living) == 1
    assert len([line for line in logged if line.startswith("error: group main has failed")]) == 1
    assert any("can't start: no module named nope\nTraceback: nope" in line for line in logged)
    assert "error: child t.main.1 could not boot and exited with code 1" in logged


def test_a_group_fails_when_all_its_children_did(stage: Any) -> None:
    s = stage(threads=2).start()
    one, two = s.reactor.processes
    one.exits(1)
    assert s.group()["state"] == "starting"
    two.exits(1)
    assert s.group()["state"] == "failed"


def test_a_boot_failure_that_is_not_told_is_named_by_its_last_line(stage: Any) -> None:
    s = stage().start()
    process = s.reactor.processes[0]
    process.protocol.childDataReceived(2, b"Traceback (most recent call last):\n  ...\nImportError: no nope\n")
    process.exits(1)
    assert s.group()["state"] == "failed"
    assert s.group()["reason"] == "ImportError: no nope"


def test_a_group_that_came_up_once_does_not_fail(stage: Any) -> None:
    s = stage(threads=2).start()
    one, two = s.reactor.processes
    two.child.ready()
    one.child.boot_failed("no")
    one.exits(1)
    assert s.group()["state"] == "running"
    s.reactor.advance(1)
    assert len(s.reactor.living) == 2


def test_a_group_fails_later_too_when_none_of_its_children_boots_any_more(stage: Any, logged: list[str]) -> None:
    s = stage(threads=2).started_ready()
    for process in s.reactor.living:
        process.exits(killed_by=9)
    s.reactor.advance(1)
    assert s.group()["state"] == "starting"
    for process in s.reactor.living:
        process.child.boot_failed("no module named nope")
        process.exits(1)
    assert s.group()["state"] == "failed"
    assert any(line.startswith("error: group main has failed") for line in logged)


def test_an_exit_code_of_no_meaning_is_a_crash(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    s.reactor.living[0].exits(3)
    assert "error: child t.main.1 exited with code 3" in logged
    assert s.group()["children"][0]["error"] == "exited with code 3"
    s.reactor.advance(1)
    s.reactor.living[0].exits(0)


def test_a_failed_group_recovers_with_its_first_child(stage: Any) -> None:
    s = stage().start()
    s.reactor.living[0].exits(1)
    s.reactor.advance(30)
    s.reactor.living[0].child.ready()
    assert s.group()["state"] == "running"
    assert s.group()["reason"] == ""


def test_a_child_killed_while_it_boots_is_no_boot_failure(stage: Any) -> None:
    s = stage().start()
    s.reactor.living[0].exits(killed_by=9)
    assert s.group()["state"] == "starting"
    s.reactor.advance(1)
    assert s.reactor.living


def test_no_process_to_be_had_is_told_and_tried_again(stage: Any, logged: list[str]) -> None:
    s = stage()
    s.reactor.spawn_error = OSError(11, "Resource temporarily unavailable")
    s.start()
    assert s.group()["children"][0]["error"] == "no process can be made: Resource temporarily unavailable"
    s.reactor.advance(1)
    assert ids(s) == ["t.main.1"]


def test_a_child_of_another_version_is_refused(stage: Any, logged: list[str]) -> None:
    s = stage().start()
    process = s.reactor.processes[0]
    process.child.ready("99.9")
    assert process.signals == [SIGTERM]
    process.exits(0)
    assert s.group()["state"] == "failed"
    assert f"snqd 99.9 is installed by now, and the daemon runs {VERSION}" in s.group()["reason"]
    assert "stop and start the daemon" in s.group()["reason"]


def test_a_child_whose_pipes_are_held_open_is_replaced_all_the_same(stage: Any) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    process.exits(killed_by=9, pipes_stay_open=True)
    s.reactor.advance(LINGER)
    s.reactor.advance(1)
    assert len(s.reactor.living) == 1
    assert not process.pipes


def test_a_hanging_child_is_aborted_then_killed(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    s.seconds(10)
    assert process.signals == []
    s.seconds(1)
    assert process.signals == [SIGABRT]
    assert s.group()["children"][0]["state"] == "hung"
    s.seconds(int(ABORT_GRACE))
    assert process.signals == [SIGABRT, SIGKILL]
    process.exits(killed_by=9)
    s.seconds(1)
    assert len(s.reactor.living) == 1
    assert any("gave no sign of life for" in line for line in logged)


def test_a_child_that_is_slow_to_boot_does_not_hang(stage: Any) -> None:
    s = stage().start()
    process = s.reactor.processes[0]
    s.seconds(int(BOOT_TIMEOUT))
    assert process.signals == []
    assert s.daemon.progressing
    process.child.ready()
    s.seconds(10)
    assert process.signals == []
    s.seconds(1)
    assert process.signals == [SIGABRT]


def test_a_child_that_does_not_come_up_is_ended_as_a_boot_failure(stage: Any, logged: list[str]) -> None:
    s = stage().start()
    process = s.reactor.processes[0]
    s.seconds(int(BOOT_TIMEOUT) + 1)
    assert process.signals == [SIGABRT]
    assert f"child t.main.1 (pid {process.pid}) did not come up within {BOOT_TIMEOUT + 1:.0f} s" in logged[-1]
    process.exits(killed_by=6)
    group = s.group()
    assert group["state"] == "failed"
    assert group["reason"] == f"did not come up within {BOOT_TIMEOUT + 1:.0f} s and was killed by signal 6"
    assert f"error: child t.main.1 {group['reason']}" in logged


def test_a_child_that_waits_for_its_store_at_boot_is_left_alone(stage: Any) -> None:
    s = stage().start()
    for _ in range(int(BOOT_TIMEOUT) + 20):
        s.reactor.processes[0].child.beat(trouble="no store")
        s.seconds(1)
    assert s.reactor.processes[0].signals == []


@pytest.mark.parametrize("asked", ["prepare", "commit", "take_over"])
def test_a_child_that_imports_for_another_configuration_does_not_hang(stage: Any, asked: str) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    answer: Deferred[dict[str, Any]] = Deferred()
    setattr(process.child, f"{asked}_answer", answer)
    _ask(s, asked)
    s.seconds(60)
    assert process.signals == []
    answer.callback({"problems": [], "traceback": "", "digest": "d"})
    s.reactor.advance(0)
    s.seconds(10)
    assert process.signals == []
    s.seconds(1)
    assert process.signals == [SIGABRT]


def _ask(s: Any, asked: str) -> None:
    (child,) = s.daemon.children_at_work()
    prepare = {"changes": SourceChanges().to_json(), "digest": "d", "check": []}
    command, arguments = {
        "prepare": (Prepare, prepare),
        "commit": (Commit, {"digest": "d"}),
        "take_over": (TakeOver, {}),
    }[asked]
    child.ask(command, **arguments).addTimeout(5, s.reactor).addErrback(lambda failure: failure.trap(TimeoutError))


def test_a_child_that_was_silent_before_it_was_asked_to_import_still_hangs(stage: Any) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    process.child.prepare_answer = Deferred()
    s.seconds(5)
    _ask(s, "prepare")
    s.seconds(6)
    assert process.signals == [SIGABRT]
    process.exits(killed_by=6)


def test_a_child_that_beats_does_not_hang(stage: Any) -> None:
    s = stage().started_ready()
    for _ in range(30):
        s.reactor.processes[0].child.beat()
        s.seconds(1)
    assert s.reactor.processes[0].signals == []


def test_a_daemon_that_was_stopped_itself_forgives(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    s.reactor.advance(1000)
    assert s.reactor.processes[0].signals == []
    assert "warn: this process did not run for 999.0 s: its children are forgiven that time" in logged
    s.seconds(10)
    assert s.reactor.processes[0].signals == [SIGABRT]


def test_a_heartbeat_that_tells_of_suspects_brings_a_solo_child(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.processes[0].child.beat(solo_waiting=True)
    s.reactor.processes[0].child.beat(solo_waiting=True)
    assert ids(s) == ["t.main.1", "t.main.solo"]
    assert s.reactor.living[1].spec.role == "solo"
    assert s.reactor.living[1].spec.n == 0


def test_a_solo_child_that_left_comes_back_only_when_it_is_needed(stage: Any) -> None:
    s = stage().started_ready()
    normal = s.reactor.processes[0].child
    normal.beat(solo_waiting=True)
    s.reactor.named("t.main.solo").child.ready()
    s.reactor.named("t.main.solo").exits(0)
    s.reactor.advance(5)
    assert ids(s) == ["t.main.1"]
    assert [child["id"] for child in s.group()["children"]] == ["t.main.1"]
    normal.beat(solo_waiting=True)
    assert ids(s) == ["t.main.1", "t.main.solo"]


def test_a_solo_child_that_died_waits_for_its_turn_when_it_is_needed_again(stage: Any) -> None:
    s = stage().started_ready()
    normal = s.reactor.processes[0].child
    normal.beat(solo_waiting=True)
    s.reactor.named("t.main.solo").exits(killed_by=9)
    normal.beat(solo_waiting=True)
    assert ids(s) == ["t.main.1"]
    s.reactor.advance(1)
    assert ids(s) == ["t.main.1", "t.main.solo"]


def test_an_exclusive_group_has_no_solo_child(stage: Any) -> None:
    s = stage(EXCLUSIVE).started_ready()
    s.reactor.named("t.xmpp.1").child.beat(solo_waiting=True)
    assert ids(s) == ["t.main.1", "t.xmpp.1"]


def test_stop_asks_children_to_drain_and_waits_for_them(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    stopped = s.stop()
    assert (one.child.stops, two.child.stops) == (1, 1)
    assert s.group()["state"] == "stopping"
    one.exits(0)
    assert not stopped.called
    two.exits(0)
    assert stopped.called
    assert s.reactor.living == []


def test_children_that_do_not_leave_are_killed_after_the_deadline(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    stopped = s.stop()
    s.reactor.advance(20 + STOP_GRACE - 0.1)
    assert process.signals == []
    s.reactor.advance(0.1)
    assert process.signals == [SIGKILL]
    process.exits(killed_by=9)
    assert stopped.called
    assert any("did not leave in time: sent SIGKILL" in line for line in logged)


def test_a_child_that_still_boots_is_ended_by_its_signal(stage: Any) -> None:
    s = stage().start()
    stopped = s.stop()
    assert s.reactor.processes[0].signals == [SIGTERM]
    s.reactor.processes[0].exits(killed_by=15)
    assert stopped.called


def test_stop_ends_the_wait_for_a_respawn(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.processes[0].exits(1)
    assert s.stop().called


def test_a_hanging_child_does_not_hold_up_the_stop(stage: Any) -> None:
    s = stage().started_ready()
    process = s.reactor.processes[0]
    s.seconds(11)
    stopped = s.stop()
    s.reactor.advance(ABORT_GRACE)
    assert process.signals == [SIGABRT, SIGKILL]
    process.exits(killed_by=9)
    assert stopped.called


def test_a_suspect_told_of_during_the_stop_brings_nobody(stage: Any) -> None:
    s = stage().started_ready()
    stopped = s.stop()
    s.reactor.processes[0].child.beat(solo_waiting=True)
    assert ids(s) == ["t.main.1"]
    s.reactor.processes[0].exits(0)
    assert stopped.called


def test_wake_reaches_the_children_that_are_up(stage: Any) -> None:
    s = stage(threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    s.daemon.tell_children(Wake)
    s.reactor.advance(0)
    assert (up.child.wakes, booting.child.wakes) == (1, 0)


def test_a_log_level_that_is_set_while_a_child_boots_reaches_it_too(stage: Any) -> None:
    s = stage(threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    s.daemon.set_log_level("snqd.queues", "debug")
    s.reactor.advance(0)
    assert (up.child.levels, booting.child.levels) == ([("snqd.queues", "debug")], [])
    booting.child.ready()
    assert booting.child.levels == [("snqd.queues", "debug")]
    booting.exits(0)
    s.reactor.advance(1)
    s.reactor.living[-1].child.ready()
    assert s.reactor.living[-1].child.levels == []
    assert s.reactor.living[-1].spec.log_levels == {"snqd.queues": "debug"}


def test_one_daemon_a_state_dir(stage: Any) -> None:
    first, second = stage().start(), stage()
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}\) works on state_dir {first.state_dir}"):
        second.daemon.check()
    with pytest.raises(AlreadyRunning):
        second.daemon.startService()
    first.stop()
    first.reactor.processes[0].exits(0)
    second.daemon.check()
