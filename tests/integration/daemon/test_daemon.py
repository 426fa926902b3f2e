"""A real daemon with real children: what an operator does to it, and what may happen to it."""

from __future__ import annotations

import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from snqd.core.errors import DaemonNotRunning
from snqd.ops.control import call

from .conftest import PATIENCE


def test_children_come_up_and_report(daemon: Any) -> None:
    process = daemon.start()
    children = daemon.ready()
    status = daemon.status()
    assert [child["id"] for child in children] == ["t.main.1", "t.main.2"]
    assert all(child["rss_bytes"] > 1_000_000 and child["handled"] == 7 for child in children)
    assert status["daemon"]["pid"] == process.pid
    assert status["daemon"]["state"] == "running"
    assert status["groups"][0]["state"] == "running"
    queue, site, _, handled, _, _, in_flight, _ = status["counters"][0]
    assert (queue, site, handled, in_flight) == ("mail", "alpha", 14, 2)


def test_what_a_killed_child_ran_is_recovered_by_another_and_a_solo_child_comes(daemon: Any) -> None:
    daemon.start()
    first, second = daemon.ready()
    os.kill(first["pid"], signal.SIGKILL)
    _, pid, _, owner, suspects, cause = daemon.traced("recovered")[0]
    assert (int(pid), suspects, cause) == (second["pid"], "job-1", "its_process_was_killed_by_signal_9")
    assert owner.startswith("t.main.1-")
    again = daemon.ready()
    assert [child["restarts"] for child in again] == [1, 0]
    assert daemon.wait_for(lambda: [each for each in daemon.trace() if each[2:] == ["started", "solo"]], "a solo child")
    assert not list(daemon.state_dir.glob(f"children/{owner}.ledger"))


def test_a_boot_failure_is_told_with_its_traceback_and_ends_with_its_cause(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"boot": "fail"})
    daemon.start()
    log = daemon.logged("group main has failed")
    assert "child t.main.1 (pid " in log
    assert "can't start: I/O manager TinyManager failed to start: the tiny manager has no heart" in log
    assert "Traceback (most recent call last)" in log
    assert "in start" in log
    group = daemon.status()["groups"][0]
    assert group["state"] == "failed"
    assert "no heart" in group["reason"]
    (daemon.state_dir / "repaired").touch()
    daemon.ready()
    assert daemon.status()["groups"][0]["state"] == "running"
    assert daemon.text().count("group main has failed") == 1


def test_a_child_that_exits_while_it_boots_is_a_boot_failure_too(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"boot": "exit"})
    daemon.start()
    assert "child t.main.1 could not boot and exited with code 3" in daemon.logged("group main has failed")


def test_stop_lets_the_children_drain(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"drain": "0.5"})
    process = daemon.start()
    daemon.ready()
    assert call(daemon.state_dir / "control.sock", "stop") == {"stopping": True}
    assert daemon.exit_code(process) == 0
    assert len(daemon.traced("stopped")) == 2
    assert not list(daemon.state_dir.glob("children/*"))
    with pytest.raises(DaemonNotRunning, match="no daemon answers at"):
        call(daemon.state_dir / "control.sock", "ping")


def test_a_terminals_ctrl_c_reaches_all_and_the_children_drain(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"drain": "0.5"})
    process = daemon.start()
    daemon.ready()
    os.killpg(process.pid, signal.SIGINT)
    daemon.exit_code(process)
    assert len(daemon.traced("stopped")) == 2
    assert "killed by" not in daemon.text()


def test_a_child_that_drains_for_too_long_is_killed(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"drain": "600"}, drain_timeout="0.1", threads="1")
    process = daemon.start()
    (child,) = daemon.ready(1)
    os.kill(child["pid"], signal.SIGSTOP)
    process.terminate()
    daemon.exit_code(process)
    daemon.gone(child["pid"])
    assert "child t.main.1 did not leave in time: sent SIGKILL" in daemon.text()


def test_a_signalled_child_drains_and_is_replaced(daemon: Any) -> None:
    daemon.start()
    pid = daemon.ready()[0]["pid"]
    os.kill(pid, signal.SIGTERM)
    daemon.traced("stopped", pid)
    daemon.wait_for(lambda: pid not in [child["pid"] for child in daemon.ready()], "another child in its place")


def test_children_of_a_killed_daemon_drain_and_exit(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"drain": "0.3"})
    process = daemon.start()
    pids = [child["pid"] for child in daemon.ready()]
    process.kill()
    process.wait()
    for pid in pids:
        daemon.traced("stopped", pid)
        daemon.gone(pid)


def test_a_daemon_takes_over_from_one_that_was_killed(daemon: Any) -> None:
    first = daemon.start()
    pids = [child["pid"] for child in daemon.ready()]
    os.kill(pids[0], signal.SIGSTOP)  # it will not drain, and hold its ledger for a while
    first.kill()
    first.wait()
    assert (daemon.state_dir / "control.sock").exists()
    daemon.start()
    daemon.wait_for(lambda: daemon.status().get("groups"), "an answer over a new socket")
    assert not [each for each in daemon.trace() if each[2] == "recovered"]
    os.kill(pids[0], signal.SIGKILL)
    _, _, _, owner, suspects, cause = daemon.traced("recovered")[0]
    assert owner.startswith("t.main.1-")
    assert (suspects, cause) == ("job-1", "its_daemon_died")


def test_a_second_daemon_is_refused_in_plain_words(daemon: Any) -> None:
    first = daemon.start()
    daemon.ready()
    second = daemon.start("snqd", "--config", str(daemon.config))
    assert daemon.exit_code(second) == 1
    words = f"another daemon (pid {first.pid}) works on state_dir {daemon.state_dir}"
    assert words in daemon.text()
    assert "Traceback" not in daemon.text()
    assert len(daemon.ready()) == 2


def test_a_stale_lock_and_socket_are_replaced(daemon: Any) -> None:
    daemon.state_dir.mkdir()
    (daemon.state_dir / "daemon.lock").write_text("1\n")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(daemon.state_dir / "control.sock"))
    daemon.start()
    daemon.ready()
    assert stat.S_IMODE((daemon.state_dir / "control.sock").stat().st_mode) == 0o600


def test_a_hanging_child_is_killed_with_its_tracebacks_in_the_log(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"then": "hang"}, hang_timeout="2", threads="1")
    daemon.start()
    daemon.ready(1)
    call(daemon.state_dir / "control.sock", "wake")
    log = daemon.logged("was killed by signal 6")
    assert "gave no sign of life for" in log
    assert "Fatal Python error: Aborted" in log
    assert "[t.main.1]" in log


def test_a_child_can_end_the_daemon(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"then": "shut down"})
    assert daemon.exit_code(daemon.start()) == 0
    assert "asked for it (exit code 100)" in daemon.text()


def test_wake_reaches_every_child(daemon: Any) -> None:
    daemon.start()
    daemon.ready()
    assert call(daemon.state_dir / "control.sock", "wake") == {"woken": True}
    daemon.traced("woken", count=2)


def test_a_child_that_becomes_ready_in_the_midst_of_a_change_has_it_too(make_daemon: Any) -> None:
    daemon = make_daemon(tiny={"colour": "red"})
    daemon.start()
    first, second = daemon.ready()
    hold = daemon.state_dir / "hold"
    hold.touch()
    daemon.config.write_text(daemon.config.read_text().replace("red", "blue"))
    os.kill(second["pid"], signal.SIGKILL)
    daemon.gone(second["pid"])
    with ThreadPoolExecutor(1) as thread:
        update = thread.submit(call, daemon.state_dir / "control.sock", "update", PATIENCE)
        daemon.traced("preparing", first["pid"])
        fresh = daemon.wait_for(lambda: other_ready(daemon, second["pid"]), "another child in its place")
        hold.unlink()
        answer = update.result()
    assert answer["problems"] == []
    for pid in (first["pid"], fresh["pid"]):
        assert daemon.traced("colour", pid)[-1][3] == "blue"
    assert call(daemon.state_dir / "control.sock", "update", PATIENCE)["changed"] is False


def other_ready(daemon: Any, pid: int) -> Any:
    """The second child, once it is up and another one than `pid`."""
    children = [child for child in daemon.children() if child["n"] == 2 and child["pid"] not in (None, pid)]
    return next((child for child in children if child["state"] in ("listening", "queue")), None)
