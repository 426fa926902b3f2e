"""Starting, stopping, pausing: what an operator does to a daemon, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

from farm import STOP_TIMEOUT, Farm, alive
from waiting import LONGEST_WAIT, exit_code, wait_until


def test_a_pause_survives_a_restart(farm: Farm) -> None:
    farm.start()
    assert farm.snqctl("pause", "note").returncode == 0
    farm.enqueue("alpha", "note", "--count", 5)
    assert farm.stop() == 0
    farm.start()
    farm.enqueue("alpha", "chain", '{"notes": 0}')
    wait_until(lambda: farm.journal.handled("chain"), 30, "a job of a queue that is not paused")
    assert farm.queue("note")["paused"]
    assert farm.queue("note")["waiting"] == 5
    assert farm.journal.runs("note") == []

    assert farm.snqctl("resume", "note").returncode == 0
    wait_until(lambda: len(farm.journal.handled("note")) == 5, 30, "the jobs of the resumed queue")


def test_one_site_can_be_paused(farm: Farm) -> None:
    farm.start()
    assert farm.snqctl("pause", "note", "--site", "alpha").returncode == 0
    farm.enqueue("alpha", "note")
    farm.enqueue("beta", "note", "--count", 3)
    wait_until(lambda: len(farm.journal.handled()) == 3, 30, "the other site's jobs")
    assert {run.site for run in farm.journal.runs()} == {"beta"}
    assert farm.snqctl("resume", "note", "--site", "alpha").returncode == 0
    wait_until(lambda: len(farm.journal.handled()) == 4, 30, "the resumed site's job")


def test_a_stop_finishes_what_runs(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"drain_timeout": LONGEST_WAIT}})
    farm.start()
    gate = farm.folder / "go"
    farm.enqueue("alpha", "until", json.dumps({"file": str(gate)}), "--count", 4)
    wait_until(lambda: len(farm.journal.runs()) == 4, 30, "four running jobs")
    assert farm.snqctl("stop").returncode == 0
    assert farm.journal.handled() == set()
    gate.touch()
    assert exit_code(farm.daemon, STOP_TIMEOUT) == 0
    assert len(farm.journal.handled()) == 4
    assert farm.processes() == []


def test_a_stop_gives_back_what_can_not_end_in_time(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"drain_timeout": 1}})
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 60}')
    wait_until(farm.journal.runs, 30, "a running job")
    assert farm.stop() == 0
    assert farm.journal.handled() == set()
    assert farm.queue("note")["waiting"] == 1
    farm.start()
    wait_until(lambda: len(farm.journal.runs()) == 2, 30, "the job's second run")
    # It was given back, so that its first run was no attempt.
    assert [run.attempt for run in farm.journal.runs()] == [1, 1]


def test_sigterm_stops_as_snqctl_does(farm: Farm) -> None:
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 1}')
    wait_until(farm.journal.runs, 30, "a running job")
    farm.kill(farm.daemon.pid, signal.SIGTERM)
    exit_code(farm.daemon, STOP_TIMEOUT)
    assert len(farm.journal.handled()) == 1
    assert farm.processes() == []


def test_twistd_daemonizes_it(farm: Farm) -> None:
    pid_file = farm.folder / "twistd.pid"
    launcher = farm.spawn("--pidfile", str(pid_file), "--logfile", str(farm.folder / "twistd.log"))
    assert exit_code(launcher, 30) == 0, farm.log()
    wait_until(farm.ready, 30, "a ready daemon")
    pid = int(pid_file.read_text())
    assert pid == farm.daemon_pid != launcher.pid
    assert os.getsid(pid) != os.getsid(0)
    farm.enqueue("alpha", "note")
    wait_until(farm.journal.handled, 30, "a handled job")
    assert farm.snqctl("stop").returncode == 0
    wait_until(lambda: not farm.processes() and not pid_file.exists(), STOP_TIMEOUT, "the end of the daemon")


def test_a_second_daemon_is_refused_while_the_first_lives(farm: Farm) -> None:
    farm.start()
    first = farm.daemon
    second = farm.spawn("-n", "--pidfile=")
    assert exit_code(second, 30) == 1
    assert str(first.pid) in farm.log()
    assert str(farm.state_dir) in farm.log()
    assert farm.daemon_pid == first.pid
    farm.enqueue("alpha", "note")
    wait_until(farm.journal.handled, 30, "a job handled by the first daemon")


def test_what_a_killed_daemon_left_is_replaced(farm: Farm) -> None:
    farm.start()
    children = farm.child_pids()
    farm.kill(farm.daemon.pid)
    exit_code(farm.daemon, STOP_TIMEOUT)
    wait_until(lambda: not any(alive(pid) for pid in children), STOP_TIMEOUT, "the orphans' end")
    assert (farm.state_dir / "control.sock").exists()
    assert farm.snqctl("status", "--json").returncode == 1
    farm.start()
    farm.enqueue("alpha", "note")
    wait_until(farm.journal.handled, 30, "a handled job")


def test_a_daemon_whose_place_was_changed_in_the_file_is_told_by_signals(farm: Farm) -> None:
    farm.start()
    farm.config.write_text(farm.config.read_text().replace("[snqd]\n", "[snqd]\nstate_dir = elsewhere\n"))
    answer = farm.snqctl("update")
    assert answer.returncode == 1
    assert str(farm.folder / "elsewhere" / "control.sock") in answer.stderr
    assert "SIGHUP" in answer.stderr
    farm.kill(farm.daemon.pid, signal.SIGHUP)
    wait_until(lambda: "configuration changed: [snqd] state_dir (" in farm.log(), 30, "the change in the log")
    farm.kill(farm.daemon.pid, signal.SIGTERM)
    exit_code(farm.daemon, STOP_TIMEOUT)
    assert farm.processes() == []
    farm.start()
    assert farm.snqctl("update").returncode == 0


def test_threads_sets_the_number_of_children(farm: Farm) -> None:
    farm.start("--threads", "3", "--id", "elsewhere")
    status = farm.status()
    assert status["daemon"]["id"] == "elsewhere"
    assert len(farm.child_pids()) == 3


def test_a_killed_child_is_replaced(farm: Farm) -> None:
    farm.start()
    before = farm.child_pids()
    farm.kill(before[0])
    wait_until(
        lambda: farm.ready() and before[0] not in farm.child_pids() and len(farm.child_pids()) == 2, 30, "a new child"
    )
    assert sum(child["restarts"] for group in farm.status()["groups"] for child in group["children"]) == 1
