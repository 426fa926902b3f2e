"""The configuration and the sites change while the daemon works."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from tests.patience import slowness


def edit(farm: Farm, old: str, new: str) -> None:
    text = farm.config.read_text()
    assert old in text
    farm.config.write_text(text.replace(old, new, 1))


@pytest.fixture
def with_folder(make_farm: Callable[..., Farm]) -> Farm:
    """A farm whose sites may also be files in its folder `sites`."""
    farm = make_farm(sections={"sites": {"dir": "sites"}})
    (farm.folder / "sites").mkdir()
    return farm


def define(farm: Farm, name: str, text: str = "") -> Path:
    path = farm.folder / "sites" / f"{name}.ini"
    path.write_text(f"[site:{name}]\n{text}")
    return path


def test_a_broken_edit_keeps_the_old_configuration_and_says_why(farm: Farm) -> None:
    farm.start()
    good = farm.config.read_text()
    edit(farm, "drain_timeout", "drian_timeout")
    answer = farm.snqctl("update")
    assert answer.returncode == 2
    assert "unknown key (did you mean drain_timeout?)" in answer.stderr
    farm.kill(farm.daemon.pid, signal.SIGHUP)
    wait_until(lambda: "the configuration stays as it was" in farm.log(), 30, "the refusal in the log")
    assert "drian_timeout: unknown key" in farm.log()

    farm.config.write_text(good)
    farm.enqueue("alpha", "note")
    wait_until(farm.journal.handled, 30, "a job by the old configuration")
    assert farm.snqctl("update").stdout == "nothing has changed\n"


def test_a_handler_that_can_not_be_imported_changes_nothing_and_comes_back_with_its_traceback(farm: Farm) -> None:
    farm.start()
    edit(farm, "[handlers]\n", "[handlers]\nfresh = no_such_module.Handler\n")
    answer = farm.snqctl("update")
    assert answer.returncode == 2
    assert "can't import no_such_module.Handler: ModuleNotFoundError" in answer.stderr
    assert "Traceback (most recent call last)" in answer.stderr
    farm.enqueue("alpha", "note")
    wait_until(farm.journal.handled, 30, "a job by the old configuration")


def test_a_handler_is_added_and_one_removed_without_a_restart(farm: Farm) -> None:
    farm.start()
    pids = farm.child_pids()
    edit(farm, "[handlers]\n", "[handlers]\nfresh = farm_handlers.Note\n")
    edit(farm, "later = farm_handlers.Later\n", "")
    answer = farm.snqctl("update")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "changed: [handlers] later, [handlers] fresh\n"
    farm.enqueue("alpha", "fresh")
    wait_until(lambda: farm.journal.handled("fresh"), 30, "a job of the new queue")
    farm.enqueue("--force", "alpha", "later", '{"good": 1, "delay": 0}')
    assert farm.child_pids() == pids

    edit(farm, "[handlers]\n", "[handlers]\nlater = farm_handlers.Later\n")
    assert farm.snqctl("update").returncode == 0
    wait_until(lambda: farm.journal.handled("later"), 30, "the job that waited for its handler")


def test_running_jobs_end_with_the_handler_that_they_began_with(farm: Farm) -> None:
    farm.start()
    gate = farm.folder / "go"
    farm.enqueue("alpha", "until", json.dumps({"file": str(gate)}))
    wait_until(farm.journal.runs, 30, "a running job")
    edit(farm, "until = farm_handlers.Until\n", "until = farm_handlers.Picky\n")
    assert farm.snqctl("update").returncode == 0
    farm.enqueue("alpha", "until", json.dumps({"unless": str(farm.folder / "never")}))
    wait_until(lambda: len(farm.dead()) == 1, 30, "a job rejected by the new handler")
    assert farm.journal.handled() == set()
    gate.touch()
    wait_until(lambda: len(farm.journal.handled()) == 1, 30, "the end of the first")
    assert len(farm.journal.runs()) == 2


def test_groups_and_their_children_change_live(farm: Farm) -> None:
    farm.start()
    edit(farm, "threads = 2", "threads = 3")
    farm.config.write_text(farm.config.read_text() + "\n[group:slow]\nqueues = chain\n")
    assert farm.snqctl("update").returncode == 0
    wait_until(lambda: farm.ready() and len(farm.child_pids()) == 4, 30, "four children")
    farm.enqueue("alpha", "chain", '{"notes": 3}')
    wait_until(lambda: len(farm.journal.handled("note")) == 3, 30, "jobs through both groups")

    farm.config.write_text(farm.config.read_text().replace("\n[group:slow]\nqueues = chain\n", ""))
    edit(farm, "threads = 3", "threads = 1")
    assert farm.snqctl("update").returncode == 0
    wait_until(lambda: len(farm.child_pids()) == 1, 30, "one child")
    farm.enqueue("alpha", "chain", '{"notes": 0}')
    wait_until(lambda: len(farm.journal.handled("chain")) == 2, 30, "the queue's job in the other group")
    assert farm.status()["groups"][0]["state"] == "running"


def test_what_needs_a_restart_is_said_and_does_not_happen(farm: Farm) -> None:
    farm.start()
    edit(farm, "[queue]\n", "[queue]\nlease = 30\nmorgue = sqlite:///other.db\n")
    answer = farm.snqctl("update")
    assert answer.stdout.splitlines() == [
        "takes effect with snqctl restart: [queue] lease",
        "takes effect when the daemon is stopped and started: [queue] morgue",
    ]
    (first, _) = farm.child_pids()
    farm.kill(first)
    wait_until(lambda: farm.ready() and first not in farm.child_pids(), 30, "another child")
    farm.enqueue("alpha", "picky", json.dumps({"unless": str(farm.folder / "never")}), "--count", 10)
    wait_until(lambda: farm.queue("picky")["dead"] == 10, 30, "ten dead letters")
    assert not (farm.folder / "other.db").exists()


def test_each_changed_key_is_named_as_it_is_written_by_snqctl_and_by_the_log(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"app:x": {"y": 1}, "handler:note": {"weight": 1}, "group:slow": {"queues": "chain"}})
    farm.start()
    edit(farm, "[snqd]\n", "[snqd]\nmemory_limit = 2g\nlog_format = json\n")
    edit(
        farm,
        "[queue]\n",
        "[queue]\nmax_retries = 3\nretry_delay = 2\nwire = php\nstomp_server = a:1\nstomp_vhost = farm\n",
    )
    edit(farm, "weight = 1", "weight = 2\nmax_retries = 2\ncolour = red")
    edit(farm, "queues = chain", "queues = chain\nexclusive = yes")
    edit(farm, "y = 1", "y = 2")
    named = {
        "changed": "[snqd] memory_limit, [queue] max_retries, [queue] retry_delay, "
        "[handler:note] max_retries, [handler:note] weight, [handler:note] colour, [app:x] y",
        "takes effect with snqctl restart": "[queue] wire",
        "takes effect when the daemon is stopped and started": "[snqd] log_format, [queue] stomp_server, "
        "[queue] stomp_vhost, [group:slow] exclusive",
    }
    assert farm.snqctl("update").stdout.splitlines() == [f"{heading}: {keys}" for heading, keys in named.items()]
    now, restart, stop = named.values()
    said = f"{now} (at once); {restart} (after snqctl restart); {stop} (after the daemon's stop and start)"
    assert f"configuration changed: {said}" in farm.log()


def test_a_mended_group_comes_up_by_an_update(make_farm: Callable[..., Farm]) -> None:
    sections = {"group:fragile": {"queues": "fragile"}, "snqd": {"threads": 1}}
    farm = make_farm(handlers={"fragile": "fragile.Handler"}, sections=sections)
    module = farm.folder / "fragile.py"
    module.write_text("import no_such_module\n")
    farm.spawn("-n", "--pidfile=")
    wait_until(lambda: "group fragile has failed" in farm.log(), 30, "the failed group")
    module.write_text("from farm_handlers import Note as Handler\n")
    answer = farm.snqctl("update")
    assert (answer.returncode, answer.stdout) == (0, "nothing has changed\n")
    farm.enqueue("alpha", "fragile")
    wait_until(farm.journal.handled, 20, "a job of the mended group")


def test_a_site_is_live_a_moment_after_its_file(with_folder: Farm) -> None:
    farm = with_folder
    farm.start()
    define(farm, "gamma")
    began = time.monotonic()
    farm.enqueue("gamma", "note")
    wait_until(farm.journal.handled, 10, "a job of the new site")
    assert time.monotonic() - began < 5 * slowness()
    define(farm, "gamma", "handlers.note = off\n")
    wait_until(lambda: "sites changed: gamma" in farm.log(), 10, "the change")
    farm.enqueue("--force", "gamma", "note")
    wait_until(farm.dead, 10, "a job that the site has switched off")


def test_jobs_of_a_site_that_was_removed_wait_visibly_until_it_is_back(with_folder: Farm) -> None:
    farm = with_folder
    path = define(farm, "gamma")
    farm.start()
    path.unlink()
    wait_until(lambda: "sites removed: gamma" in farm.log(), 10, "the removal")
    farm.enqueue("--force", "gamma", "note", "--count", 3)

    def row() -> dict[str, object]:
        return next((row for row in farm.status()["sites"] if row["site"] == "gamma"), {})

    wait_until(lambda: row().get("delayed") == 3, 20, "three jobs that wait for their site")
    assert row()["configured"] is False
    define(farm, "gamma")
    wait_until(lambda: len(farm.journal.handled()) == 3, 30, "the jobs of the site that is back")
    assert {run.attempt for run in farm.journal.runs()} == {1}


def test_sites_of_a_table_come_and_go(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"sites": {"database": "sqlite:///farm.db"}})
    with sqlite3.connect(farm.folder / "farm.db") as database:
        database.execute("CREATE TABLE status_network (nickname TEXT, hostname TEXT, dbname TEXT, modified TIMESTAMP)")
        database.execute("INSERT INTO status_network VALUES ('gamma', 'gamma.example', 'sn_gamma', '2026-01-01')")
    farm.start()
    farm.enqueue("gamma", "note")
    wait_until(farm.journal.handled, 30, "a job of the table's site")
    with sqlite3.connect(farm.folder / "farm.db") as database:
        database.execute("INSERT INTO status_network VALUES ('delta', NULL, NULL, '2026-01-02')")
    farm.enqueue("delta", "note")
    wait_until(lambda: len(farm.journal.handled()) == 2, 10, "a job of the table's new site")
    sites = json.loads(farm.snqctl("sites", "--json").stdout)
    assert [site["source"] for site in sites if site["site"] == "gamma"] == [f"sqlite:///{farm.folder}/farm.db#gamma"]
