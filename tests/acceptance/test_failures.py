"""What an operator reads when the configuration, the disk or a file is no good; nothing is lost or touched."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from farm import STOP_TIMEOUT, Farm
from waiting import exit_code, wait_until

# Root writes where it may not, so give that up.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
# A file of another program's, as long as a database's first page.
GARBAGE = b"This is no database. " * 500


def test_a_wrong_configuration_is_told_plainly(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"concurency": 5, "timeout": "soon"}})
    daemon = farm.spawn("-n", "--pidfile=")
    assert exit_code(daemon, 30) == 1
    assert "Traceback" not in farm.log()
    for word in (str(farm.config), "concurency", "concurrency", "timeout", "soon"):
        assert word in farm.log()
    assert farm.snqctl("check").returncode == 2


def test_a_handler_that_can_not_be_imported_is_an_error_at_start(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(handlers={"thumbs": "farm_handlers.Thumbs"})
    farm.spawn("-n", "--pidfile=")
    wait_until(lambda: "farm_handlers.Thumbs" in farm.log(), 30, "the handler's name in the log")
    assert "[handlers]" in farm.log()
    checked = farm.snqctl("check")
    assert checked.returncode == 2
    assert "thumbs" in checked.stderr


def test_groups_that_can_not_boot_leave_the_others_at_work_and_come_up_once_mended(
    make_farm: Callable[..., Farm],
) -> None:
    """A module that is missing, a file that is, and a port that another program has: three groups, three causes."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    farm = make_farm(
        handlers={"imports": "later_code.Imports", "opens": "farm_handlers.Opens", "listens": "farm_handlers.Listens"},
        sections={
            "handler:opens": {"file": "needed.txt"},
            "handler:listens": {"port": port},
            **{f"group:{name}": {"queues": name, "exclusive": "yes"} for name in ("imports", "opens", "listens")},
        },
    )
    why = {"imports": "no module named 'later_code'", "opens": "needed.txt", "listens": f"{port}: [errno 98]"}
    farm.spawn("-n", "--pidfile=")

    def states() -> dict[str, str]:
        return {group["name"]: group["state"] for group in farm.status().get("groups", ())}

    wait_until(
        lambda: states() == {"main": "running", **dict.fromkeys(why, "failed")}, 30, "three groups failed, one at work"
    )
    reasons = {group["name"]: group["reason"].lower() for group in farm.status()["groups"]}
    checked = farm.snqctl("check")
    assert checked.returncode == 2
    for name, cause in why.items():
        assert cause in reasons[name]
        assert cause in checked.stderr.lower()
        assert cause in farm.log().lower()
        assert f"[handlers] {name}: can't" in farm.log()
        assert f"group {name} has failed" in farm.log()
    farm.enqueue("alpha", "note")
    wait_until(lambda: farm.journal.handled("note"), 30, "a job of the group that works")
    for name in why:
        farm.enqueue("alpha", name)

    pids = farm.child_pids()
    (farm.folder / "later_code.py").write_text("from farm_handlers import Note as Imports\n")
    (farm.folder / "needed.txt").write_text("")
    taken.close()
    answer = farm.snqctl("update")
    assert answer.returncode == 0, answer.stderr
    wait_until(lambda: all(farm.journal.handled(name) for name in why), 30, "the jobs that waited")
    assert set(states().values()) == {"running"}
    assert set(pids) < set(farm.child_pids())


def test_a_read_only_state_dir_is_named(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(prefix=UNPRIVILEGED)
    farm.state_dir.mkdir(mode=0o500)
    daemon = farm.spawn("-n", "--pidfile=")
    assert exit_code(daemon, 30) == 1
    assert str(farm.state_dir) in farm.log()
    enqueued = farm.snqctl("enqueue", "alpha", "note")
    assert enqueued.returncode == 1
    assert "state" in enqueued.stderr
    assert "Traceback" not in enqueued.stderr
    assert list(farm.state_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["queue.db", "morgue.db"])
def test_a_corrupt_file_is_named_and_left_untouched(farm: Farm, name: str) -> None:
    farm.state_dir.mkdir()
    (farm.state_dir / name).write_bytes(GARBAGE)
    checked = farm.snqctl("check")
    assert checked.returncode != 0
    assert name in checked.stderr
    assert "Traceback" not in checked.stderr
    assert (farm.state_dir / name).read_bytes() == GARBAGE


def test_a_daemon_does_not_come_up_on_a_corrupt_queue(farm: Farm) -> None:
    farm.state_dir.mkdir()
    database = farm.state_dir / "queue.db"
    database.write_bytes(GARBAGE)
    daemon = farm.spawn("-n", "--pidfile=")
    wait_until(lambda: str(database) in farm.log(), 30, "the file's name in the log")
    wait_until(lambda: "failed" in {group["state"] for group in farm.status()["groups"]}, 30, "a failed group")
    enqueued = farm.snqctl("enqueue", "alpha", "note")
    assert enqueued.returncode == 1
    assert str(database) in enqueued.stderr
    assert database.read_bytes() == GARBAGE
    farm.stop()
    assert exit_code(daemon, STOP_TIMEOUT) == 0


@pytest.mark.parametrize("name", ["a/b", "a\nb", "x" * 300, "", "ä"])
def test_a_site_that_can_not_be_called_so_is_refused(farm: Farm, name: str) -> None:
    answer = farm.snqctl("enqueue", "--force", name, "note")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_a_payload_that_is_no_json_is_refused_and_the_rest_goes_on(farm: Farm) -> None:
    answer = farm.snqctl("enqueue", "alpha", "note", "-", input="{}\nnot json\n{}\n")
    assert answer.returncode == 1
    assert "line 2" in answer.stderr
    assert "accepted 2 jobs" in answer.stdout
    farm.start()
    wait_until(lambda: len(farm.journal.handled()) == 2, 30, "the two good lines")


def test_a_full_disk_slows_the_daemon_down_and_loses_nothing(make_farm: Callable[..., Farm], small_disk: Path) -> None:
    farm = make_farm(sections={"snqd": {"state_dir": small_disk / "state"}})
    farm.start()
    gate = farm.folder / "go"
    farm.enqueue("alpha", "until", json.dumps({"file": str(gate)}), "--count", 20)
    wait_until(lambda: len(farm.journal.runs("until")) == 20, 30, "all jobs to run")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))
    gate.touch()
    wait_until(lambda: "settlements wait" in farm.log(), 30, "the daemon to say what it waits for")
    assert "free some space" in farm.log()
    refused = farm.snqctl("enqueue", "alpha", "note", '"' + "x" * 20_000 + '"')
    assert refused.returncode == 1
    assert "free some space" in refused.stderr
    assert "accepted 0 jobs" in refused.stdout

    filler.unlink()
    farm.enqueue("beta", "note")
    wait_until(lambda: farm.journal.handled("note"), 60, "the new job")
    wait_until(lambda: farm.queue("until")["handled"] == 20, 60, "all settlements")
    assert len(farm.journal.runs("until")) == 20
    assert farm.queue("until")["in_flight"] == farm.queue("until")["waiting"] == 0
    assert farm.stop() == 0
