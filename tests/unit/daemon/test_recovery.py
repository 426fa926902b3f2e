"""What dead children held goes back to the store."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from snqd.daemon import recovery
from snqd.pipe.commands import CommandFailed
from snqd.pipe.crash_ledger import CrashLedger


def leave_ledger(stage: Any, incarnation: str, *jobs: str) -> Path:
    """A ledger whose process is dead: a copy has no lock."""
    folder = stage.state_dir / "children"
    folder.mkdir(parents=True, exist_ok=True)
    living = CrashLedger(folder / "living.ledger", f"owner of {incarnation}", 4)
    for job in jobs:
        living.started(job)
    path = folder / f"{incarnation}.ledger"
    path.write_bytes(living.path.read_bytes())
    living.close()
    return path


def solo(stage: Any) -> bool:
    return any(process.spec.role == "solo" for process in stage.reactor.living)


def test_a_living_child_frees_what_a_dead_one_held(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    path = leave_ledger(s, one.spec.incarnation, "job-1", "job-2")
    one.exits(killed_by=9)
    ((owner, suspects, cause),) = two.child.recoveries
    assert (owner, cause) == (f"owner of {one.spec.incarnation}", "its process was killed by signal 9")
    assert sorted(suspects) == ["job-1", "job-2"]
    assert not path.exists()
    assert solo(s)


def test_jobs_of_a_child_that_hung_are_told_so(stage: Any, logged: list[str]) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    leave_ledger(s, one.spec.incarnation, "job-1")
    while not one.signals:
        two.child.beat()
        s.seconds(1)
    one.exits(killed_by=6)
    ((_, suspects, cause),) = two.child.recoveries
    what = "gave no sign of life for 11.0 s (it hung) and was killed by signal 6"
    assert (suspects, cause) == (["job-1"], f"its process {what}")
    assert f"error: child t.main.1 {what}" in logged


def test_jobs_that_others_took_over_meanwhile_are_not_said_to_have_come_back(stage: Any, logged: list[str]) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    leave_ledger(s, one.spec.incarnation, "job-1")
    two.child.recover_answer = lambda: succeed(0)
    one.exits(killed_by=9)
    told = "0 came back; 1 were running, and go solo unless others have done them meanwhile"
    assert any(line.endswith(told) for line in logged)


def test_without_suspects_no_solo_child_comes(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    leave_ledger(s, one.spec.incarnation)
    one.exits(1)
    assert [suspects for _, suspects, _ in two.child.recoveries] == [[]]
    assert not solo(s)


def test_a_child_that_left_no_ledger_held_nothing(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    s.reactor.processes[0].exits(0)
    assert s.reactor.processes[1].child.recoveries == []


def test_the_ledger_waits_for_a_child_that_is_up(stage: Any) -> None:
    s = stage().started_ready()
    one = s.reactor.processes[0]
    path = leave_ledger(s, one.spec.incarnation, "job-1")
    one.exits(killed_by=9)
    s.reactor.advance(1)
    assert path.exists()
    s.reactor.living[0].child.ready()
    assert not path.exists()


def test_the_ledger_stays_until_the_store_made_it_durable(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    durable: Deferred[int] = Deferred()
    two.child.recover_answer = lambda: durable
    path = leave_ledger(s, one.spec.incarnation, "job-1")
    one.exits(killed_by=9)
    assert path.exists()
    durable.callback(1)
    s.reactor.advance(0)
    assert not path.exists()


def test_a_store_that_refuses_is_asked_again_with_back_off(stage: Any, logged: list[str]) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes

    def refuse() -> None:
        raise CommandFailed("disk full")

    two.child.recover_answer = refuse
    path = leave_ledger(s, one.spec.incarnation, "job-1")
    one.exits(killed_by=9)
    asked = []
    for _ in range(8):
        two.child.beat()
        s.seconds(1)
        asked.append(len(two.child.recoveries))
    assert asked == [2, 2, 3, 3, 3, 3, 4, 4]
    assert path.exists()
    assert any("is not recovered yet: disk full; next attempt in" in line for line in logged)


def test_a_helper_that_dies_hands_the_task_to_another(stage: Any) -> None:
    s = stage(threads=3).started_ready()
    one, two, three = s.reactor.processes
    two.child.recover_answer = Deferred
    leave_ledger(s, one.spec.incarnation, "job-1")
    one.exits(killed_by=9)
    assert three.child.recoveries == []
    two.exits(killed_by=9)
    assert len(three.child.recoveries) == 1


def test_what_an_earlier_daemon_left_is_recovered(stage: Any) -> None:
    s = stage()
    path = leave_ledger(s, "t.main.2-0123456789ab", "job-1")
    s.started_ready()
    child = s.reactor.processes[0].child
    assert child.recoveries == [("owner of t.main.2-0123456789ab", ["job-1"], "its daemon died")]
    assert not path.exists()
    assert solo(s)


def test_a_ledger_that_is_held_is_looked_at_until_it_is_free(stage: Any) -> None:
    s = stage()
    path = s.state_dir / "children" / "t.main.1-0123456789ab.ledger"
    path.parent.mkdir(parents=True)
    held = CrashLedger(path, "drains", 1)
    s.started_ready()
    child = s.reactor.processes[0].child
    s.seconds(3)
    assert child.recoveries == []
    copy = path.read_bytes()
    held.close()
    path.write_bytes(copy)
    s.seconds(1)
    assert child.recoveries == [("drains", [], "its daemon died")]


def test_a_ledger_whose_process_drained_is_gone(stage: Any) -> None:
    s = stage()
    path = s.state_dir / "children" / "t.main.1-0123456789ab.ledger"
    path.parent.mkdir(parents=True)
    held = CrashLedger(path, "drains", 1)
    s.started_ready()
    held.close()
    s.seconds(2)
    assert s.reactor.processes[0].child.recoveries == []


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"\x02\xff\xff" + bytes(300)])
def test_a_damaged_ledger_is_set_aside_and_told(stage: Any, logged: list[str], content: bytes) -> None:
    s = stage()
    folder = s.state_dir / "children"
    folder.mkdir(parents=True)
    (folder / "t.main.1-0123456789ab.ledger").write_bytes(content)
    s.started_ready()
    assert s.reactor.processes[0].child.recoveries == []
    assert [path.suffix for path in folder.iterdir()] == [".damaged"]
    assert any("set aside as .damaged" in line for line in logged)


def test_a_ledger_that_can_not_be_set_aside_keeps_no_child_from_coming_back(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()
    (one,) = s.reactor.processes
    path = s.state_dir / "children" / f"{one.spec.incarnation}.ledger"
    path.write_bytes(b"")
    path.with_suffix(".damaged").mkdir()  # in the way
    one.exits(killed_by=9)
    s.seconds(2)
    assert len(s.reactor.processes) == 2
    assert any("could not be set aside" in line for line in logged)


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize("blind", ["read_ledger", "is_held"])
def test_a_ledger_that_can_not_be_read_for_now_is_read_when_it_can(
    stage: Any, logged: list[str], monkeypatch: pytest.MonkeyPatch, error: int, blind: str
) -> None:
    s = stage()
    path = leave_ledger(s, "t.main.2-0123456789ab", "job-1")

    def fail(path: Path) -> Any:
        raise OSError(error, os.strerror(error), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(recovery, blind, fail)
        s.started_ready()
        s.seconds(3)
    assert path.exists()
    assert len([line for line in logged if "can't be read yet" in line]) == 1
    s.seconds(1)
    assert s.reactor.processes[0].child.recoveries == [("owner of t.main.2-0123456789ab", ["job-1"], "its daemon died")]
    assert not path.exists()


def test_what_ended_a_child_is_not_forgotten_while_its_ledger_can_not_be_read(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(threads=2).started_ready()
    one, two = s.reactor.processes
    leave_ledger(s, one.spec.incarnation, "job-1")

    def fail(path: Path) -> Any:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "read_ledger", fail)
        one.exits(killed_by=9)
    assert two.child.recoveries == []
    s.seconds(1)
    ((_, suspects, cause),) = two.child.recoveries
    assert (suspects, cause) == (["job-1"], "its process was killed by signal 9")


def test_a_killer_in_the_solo_child_meets_no_growing_delay(stage: Any) -> None:
    s = stage().started_ready()
    s.reactor.processes[0].child.beat(solo_waiting=True)
    for _ in range(5):
        process = s.reactor.named("t.main.solo")
        process.child.ready()
        leave_ledger(s, process.spec.incarnation, "job-1")
        process.exits(killed_by=11)
        s.reactor.advance(1)
    assert s.reactor.named("t.main.solo")
