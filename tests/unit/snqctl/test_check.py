from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest


def test_what_is_fine_is_summed_up_and_nothing_is_made(operator: Any) -> None:
    result = operator("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{operator.config} is fine",
        "  sites     2 (alpha, beta)",
        "  handlers  2 (greet, resize)",
        "  groups    1 (main)",
        f"  jobs      {operator.state / 'queue.db'} (made when it is first needed)",
        f"  morgue    {operator.state / 'morgue.db'} (made when it is first needed)",
    ]
    assert not operator.state.exists()


def test_every_handler_that_can_not_be_imported_is_named(operator: Any) -> None:
    config = operator.config.read_text()
    operator.config.write_text(config.replace("[handlers]", "[handlers]\none = snqd.demo.One\ntwo = nowhere.Two"))
    result = operator("check")
    assert (result.exit_code, result.stdout) == (2, "")
    one, two = result.stderr.splitlines()
    assert f"snqctl: {operator.config}:6: [handlers] one: can't import snqd.demo.One: " in one
    assert "[handlers] two: can't import nowhere.Two: ModuleNotFoundError: " in two


@pytest.mark.parametrize(("key", "name"), [("db", "queue.db"), ("morgue", "morgue.db")])
def test_a_damaged_file_is_named_with_its_key_and_left_untouched(operator: Any, key: str, name: str) -> None:
    operator.state.mkdir()
    (operator.state / name).write_bytes(b"no database" * 500)
    result = operator("check")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"snqctl: {operator.config}: [queue] {key}: {operator.state / name} is no SQLite")
    assert (operator.state / name).read_bytes() == b"no database" * 500


def test_a_state_dir_that_can_not_be_made_is_named(operator: Any) -> None:
    operator.state.write_text("in the way")
    result = operator("check")
    assert result.exit_code == 2
    assert f"snqctl: {operator.config}: [snqd] state_dir: {operator.state} can't be made: " in result.stderr


def test_keys_that_only_brokers_know_and_sites_that_are_not_there_are_noted(operator: Any) -> None:
    operator.configure("[queue]\nbreakout = main/greet, main/greet/gamma\nwire = php\n")
    result = operator("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line for line in result.stdout.splitlines() if line.startswith("  note")] == [
        f"  note      {operator.config}: [queue] breakout: is without effect on subsystem db, "
        "which takes jobs site by site anyway",
        f"  note      {operator.config}: [queue] wire: is without effect on subsystem db, "
        "whose jobs no PHP daemon reads",
        f"  note      {operator.config}: [queue] breakout: main/greet/gamma: no site gamma is known (yet)",
    ]


def test_options_that_are_probably_misspelt_keys_are_noted(operator: Any) -> None:
    operator.configure("handler:greet.timout = 5\nhandler:greet.time = 5\n[handler:greet]\nconcurency = 2\nsize = 5\n")
    result = operator("check")
    assert (result.exit_code, result.stderr) == (0, "")
    goes = "is no key of snqd, so it goes to the handler as an option (did you mean"
    advice = "correct it, or have the handler's class name it in own_options"
    assert [line for line in result.stdout.splitlines() if line.startswith("  note")] == [
        f"  note      {operator.config}: [handler:greet] concurency: {goes} concurrency?): {advice}",
        f"  note      {operator.config}: [site:beta] handler:greet.timout: {goes} timeout?): {advice}",
    ]


def test_a_password_file_that_is_missing_is_told_by_its_own_key(operator: Any) -> None:
    operator.configure("[queue]\nsubsystem = stomp\nstomp_server = 127.0.0.1:1\nstomp_password_file = secret\n")
    secret = operator.config.parent / "secret"
    expected = f"[queue] stomp_password_file: {secret} can't be read (No such file or directory): correct path or file"
    assert operator("check").stderr == f"snqctl: {operator.config}: {expected}\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package that registers an I/O manager: `install(what it stands for)`."""

    def make(target: str) -> None:
        info = tmp_path / "plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[snqd.io_managers]\nfeeds = {target}\n")
        monkeypatch.syspath_prepend(tmp_path)

    return make


def test_an_io_manager_that_can_not_be_loaded_is_named(operator: Any, install: Any) -> None:
    install("nowhere:Feeds")
    result = operator("check")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("snqctl: entry point feeds = nowhere:Feeds of group snqd.io_managers can't be used")


def test_an_io_manager_of_a_group_that_is_not_configured_is_noted(
    operator: Any, install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("feeds_plugin:Feeds")
    (tmp_path / "feeds_plugin.py").write_text("def Feeds(context): ...\nFeeds.group = 'feeds'\n")
    monkeypatch.delitem(sys.modules, "feeds_plugin", raising=False)
    result = operator("check")
    assert result.exit_code == 0
    (note,) = [line for line in result.stdout.splitlines() if line.startswith("  note")]
    assert "feeds = feeds_plugin:Feeds does not run: it belongs to group feeds, add a [group:feeds] section" in note


ONCE = """[group:xmpp]
queues = greet
exclusive = yes
[queue]
subsystem = stomp
stomp_server = 127.0.0.1:1
"""


@pytest.mark.parametrize(("morgue", "told"), [("", True), ("morgue = postgresql://127.0.0.1:1/morgue\n", False)])
def test_what_runs_once_in_each_daemon_on_a_broker_only_is_noted(
    operator: Any, monkeypatch: pytest.MonkeyPatch, morgue: str, told: bool
) -> None:
    monkeypatch.setattr("snqd.snqctl.check._stores", lambda invocation: ())  # no broker is there
    operator.configure(ONCE + morgue)
    result = operator("check")
    assert (result.exit_code, result.stderr) == (0, "")
    notes = [line for line in result.stdout.splitlines() if line.startswith("  note")]
    line = (
        f"  note      {operator.config}: [queue] morgue: a file, so that other daemons on the same brokers do not know "
        "of it: what runs once ([group:xmpp] exclusive) runs once in each of them; name a database on a server"
    )
    assert notes == [line] * told


def test_a_manager_that_runs_once_in_each_daemon_on_a_broker_only_is_noted(
    operator: Any, install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("feeds_once:Feeds")
    source = "from snqd.io import Scope\ndef Feeds(context): ...\nFeeds.scope = Scope.SINGLE_ONLY\n"
    (tmp_path / "feeds_once.py").write_text(source)
    monkeypatch.delitem(sys.modules, "feeds_once", raising=False)
    monkeypatch.setattr("snqd.snqctl.check._stores", lambda invocation: ())
    operator.configure("[queue]\nsubsystem = stomp\nstomp_server = 127.0.0.1:1\n")
    (note,) = [line for line in operator("check").stdout.splitlines() if line.startswith("  note")]
    assert "what runs once (I/O manager feeds = feeds_once:Feeds) runs once in each of them" in note
