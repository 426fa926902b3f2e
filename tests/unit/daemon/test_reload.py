"""Another configuration for a running daemon, without processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from snqd.core.errors import ConfigError
from snqd.daemon.reload import PREPARE_TIMEOUT, NotTaken
from snqd.pipe.commands import CommandFailed

HANDLERS = "[handlers]\nmail = exec: true\n"
MORE = HANDLERS + "feed = exec: true\n"
SLOW = MORE + "[group:slow]\nqueues = feed\n"


def child_ids(stage: Any) -> list[str]:
    return [process.spec.id for process in stage.reactor.living]


def problems(result: Any) -> list[str]:
    assert isinstance(result, Failure)
    result.trap(ConfigError)
    return list(result.value.problems)


def test_the_same_files_change_nothing_and_trouble_nobody(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    before = s.daemon.settings
    assert not s.done(s.reload().update())
    assert s.daemon.settings is before
    assert s.reactor.living[0].child.prepared == []


def test_a_change_is_prepared_by_all_children_and_then_committed(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).started_ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    changes = s.done(reload.update())
    assert list(changes.keys) == ["[handlers] feed"]
    assert "feed" in s.daemon.settings.handlers
    for process in s.reactor.living:
        ((told, check),) = process.child.prepared
        assert list(told["files"]) == [str(s.config)]
        assert check == []
        assert process.child.decisions == ["commit"]


def test_wrong_text_is_told_and_asks_no_child(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    s.write(HANDLERS + "[handler:mial]\n")
    (problem,) = problems(s.done(reload.update()))
    assert "no handler is configured for queue mial" in problem
    assert s.reactor.living[0].child.prepared == []


def test_what_one_child_can_not_do_none_does(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).started_ready()
    before = s.daemon.settings
    reload = s.reload()
    s.write(MORE, threads=2)
    good, bad = (process.child for process in s.reactor.living)
    bad.prepare_answer = {"problems": ["feed: no module named nope"], "traceback": "Traceback: nope"}
    failure = s.done(reload.update())
    assert problems(failure) == ["feed: no module named nope"]
    assert failure.check(NotTaken)
    assert failure.value.traceback == "Traceback: nope"
    assert (good.decisions, bad.decisions) == (["drop"], [])
    assert s.daemon.settings is before
    bad.process.exits(1)
    s.seconds(2)
    assert "feed" not in s.reactor.living[-1].spec.sources


def test_a_child_that_does_not_answer_keeps_the_old_configuration_in_force(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    s.write(MORE)
    child = s.reactor.living[0].child
    child.dataReceived = lambda data: None
    results: list[Any] = []
    reload.update().addBoth(results.append)
    for _ in range(int(PREPARE_TIMEOUT)):
        child.beat()
        s.reactor.advance(1)
    (problem,) = problems(results[0])
    assert problem.startswith("child t.main.1 did not make ready for it")


def test_a_child_that_dies_meanwhile_is_no_obstacle(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).started_ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    dying = s.reactor.living[0]
    dying.child.dataReceived = lambda data: None
    results: list[Any] = []
    reload.update().addBoth(results.append)
    dying.exits(killed_by=9)
    s.reactor.advance(0)
    assert list(results[0].keys) == ["[handlers] feed"]
    s.seconds(1)
    assert "feed" in s.reactor.living[-1].spec.sources


def test_a_child_that_was_booting_is_brought_up_to_date(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    s.done(reload.update())
    assert booting.child.prepared == []
    booting.child.ready()
    s.reactor.advance(0)
    assert len(booting.child.prepared) == 1
    assert booting.child.decisions == ["commit"]


def test_a_child_that_can_not_be_brought_up_to_date_is_started_again(stage: Any, logged: list[str]) -> None:
    s = stage(HANDLERS, threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    s.done(reload.update())
    booting.child.prepare_answer = {"problems": ["no"], "traceback": ""}
    booting.child.ready()
    s.reactor.advance(0)
    assert booting.child.stops == 1
    assert any("can't go over to the present configuration, so it is started again: no" in line for line in logged)


def test_a_child_that_becomes_ready_between_prepare_and_commit_is_brought_up_to_date(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    preparing: Deferred[Any] = Deferred()
    up.child.prepare_answer = preparing
    results: list[Any] = []
    reload.update().addBoth(results.append)
    s.reactor.advance(0)
    booting.child.ready()
    assert booting.child.prepared == []
    preparing.callback({"problems": [], "traceback": ""})
    s.reactor.advance(0)
    assert up.child.digest == booting.child.digest == s.launcher.sources.digest
    assert results[0].children == ("t.main.2",)
    assert not s.done(reload.update())


def test_a_child_of_a_refused_change_keeps_what_the_others_have(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).start()
    up, booting = s.reactor.processes
    up.child.ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    preparing: Deferred[Any] = Deferred()
    up.child.prepare_answer = preparing
    results: list[Any] = []
    reload.update().addBoth(results.append)
    s.reactor.advance(0)
    booting.child.ready()
    preparing.callback({"problems": ["no"], "traceback": ""})
    s.reactor.advance(0)
    assert problems(results[0]) == ["no"]
    assert up.child.digest == booting.child.digest == s.launcher.sources.digest
    assert booting.child.prepared == []


def test_a_child_that_could_not_commit_is_told_everything_once_more(stage: Any, logged: list[str]) -> None:
    s = stage(HANDLERS, threads=2).started_ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    fine, broken = (process.child for process in s.reactor.living)
    broken.commit_errors.append(CommandFailed("a part could not go over"))
    changes = s.done(reload.update())
    assert changes.children == ("t.main.2",)
    assert broken.decisions == ["commit", "commit"]
    assert list(broken.prepared[1][0]["files"]) == [str(s.config)]
    assert fine.digest == broken.digest == s.launcher.sources.digest
    assert broken.stops == 0


def test_a_child_that_can_not_commit_at_all_is_started_again(stage: Any, logged: list[str]) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    s.write(MORE)
    child = s.reactor.living[0].child
    child.commit_errors += [CommandFailed("a part could not go over")] * 3
    s.done(reload.update())
    assert child.stops == 1
    assert len(child.prepared) == 2
    assert any("so it is started again: a part could not go over" in line for line in logged)


def test_an_update_that_finds_a_child_with_another_configuration_says_so(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    (process,) = s.reactor.living
    process.protocol.digest = "of something else"
    changes = s.done(reload.update())
    assert changes.children == ("t.main.1",)
    assert changes.as_json()["changed"] is True
    assert process.child.decisions == ["commit"]
    assert not s.done(reload.update())


def test_a_text_that_means_the_same_brings_nobody_up_to_date(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    (process,) = s.reactor.living
    for comment in ("# one\n", "# two\n"):
        s.write(HANDLERS + comment)
        assert not s.done(reload.update())
    assert process.child.prepared == []
    process.exits(killed_by=9)
    s.seconds(1)
    fresh = s.reactor.living[0].child
    fresh.ready()
    s.reactor.advance(0)
    assert fresh.prepared == []


def test_a_child_that_is_too_late_with_its_answer_is_told_to_drop_it(stage: Any) -> None:
    s = stage(HANDLERS, threads=2).started_ready()
    reload = s.reload()
    s.write(MORE, threads=2)
    good, late = (process.child for process in s.reactor.living)
    late.prepare_answer = Deferred()
    results: list[Any] = []
    reload.update().addBoth(results.append)
    for _ in range(int(PREPARE_TIMEOUT)):
        good.beat()
        late.beat()
        s.reactor.advance(1)
    assert problems(results[0])
    assert (good.decisions, late.decisions) == (["drop"], ["drop"])


def test_groups_come_and_go(stage: Any) -> None:
    s = stage(MORE).started_ready()
    reload = s.reload()
    s.write(SLOW)
    s.done(reload.update())
    assert child_ids(s) == ["t.main.1", "t.slow.1"]
    # No child of the new group is there to load its handlers, so another one sees whether they can be imported.
    assert s.reactor.named("t.main.1").child.prepared[0][1] == ["feed"]
    slow = s.reactor.named("t.slow.1")
    slow.child.ready()

    s.write(MORE)
    s.done(reload.update())
    assert slow.child.stops == 1
    assert [group["name"] for group in s.status()["groups"]] == ["main", "slow"]
    slow.exits(0)
    assert [group["name"] for group in s.status()["groups"]] == ["main"]
    s.seconds(5)
    assert child_ids(s) == ["t.main.1"]


def test_a_group_that_comes_back_waits_for_the_end_of_the_one_of_its_name(stage: Any) -> None:
    s = stage(SLOW).started_ready()
    old = s.reactor.named("t.slow.1")
    reload = s.reload()
    s.write(MORE)
    s.done(reload.update())
    s.write(SLOW)
    s.done(reload.update())
    s.seconds(2)
    assert s.reactor.named("t.slow.1") is old
    old.exits(0)
    assert s.reactor.named("t.slow.1") is not old


def test_children_are_added_and_those_that_are_too_many_drain(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    s.write(HANDLERS, threads=3)
    s.done(reload.update())
    assert child_ids(s) == ["t.main.1", "t.main.2", "t.main.3"]
    for process in s.reactor.living[1:]:
        process.child.ready()
    s.write(HANDLERS, threads=1)
    s.done(reload.update())
    assert [process.child.stops for process in s.reactor.living] == [0, 1, 1]
    for process in s.reactor.living[1:]:
        process.exits(0)
    s.seconds(5)
    assert child_ids(s) == ["t.main.1"]
    assert [child["n"] for child in s.group()["children"]] == [1]


def test_what_takes_a_fresh_daemon_is_told_and_held_back_for_children_too(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    before = s.launcher.sources.main
    s.write("db = sqlite:///other.db\n" + MORE)
    changes = s.done(reload.update())
    assert changes.as_json()["after_stop_and_start"] == ["[queue] db"]
    assert s.daemon.settings.queue.db_file == s.state_dir / "queue.db"
    assert "feed" in s.daemon.settings.handlers
    s.reactor.living[0].exits(killed_by=9)
    s.seconds(1)
    assert s.reactor.living[0].spec.start == before


def test_times_change_at_once(stage: Any) -> None:
    s = stage(HANDLERS).started_ready()
    reload = s.reload()
    text = (
        s.config.read_text()
        .replace("spawndelay = 1", "spawndelay = 7")
        .replace("hang_timeout = 10", "hang_timeout = 3")
    )
    s.config.write_text(text)
    s.done(reload.update())
    s.seconds(5)
    process = s.reactor.living[0]
    assert process.signals
    process.exits(killed_by=6)
    s.seconds(6)
    assert not s.reactor.living
    s.seconds(1)
    assert s.reactor.living


def test_an_update_starts_at_once_what_waits_even_if_nothing_has_changed(stage: Any) -> None:
    s = stage(HANDLERS).start()
    reload = s.reload()
    s.reactor.living[0].child.boot_failed("no module named nope")
    s.reactor.living[0].exits(1)
    assert s.group()["state"] == "failed"
    s.done(reload.update())
    (again,) = s.reactor.living
    again.child.ready()
    assert s.group()["state"] == "running"


# Sites


@pytest.fixture
def sites(stage: Any, tmp_path: Path) -> Any:
    """A daemon with a folder of sites, and what reloads them."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.ini").write_text("[site:alpha]\n")
    s = stage(HANDLERS + "[sites]\ndir = d\n").started_ready()
    s.folder = tmp_path / "d"
    s.change = s.reload()
    s.done(s.change.update())
    return s


def test_a_site_that_came_is_swapped_alone(sites: Any) -> None:
    assert set(sites.daemon.settings.sites) == {"alpha"}
    child = sites.reactor.living[0].child
    child.prepared.clear()
    (sites.folder / "b.ini").write_text("[site:beta]\n")
    changes = sites.done(sites.change.look())
    assert changes.sites.added == ("beta",)
    ((told, _),) = child.prepared
    assert told == {"files": {f"{sites.folder}/b.ini": "[site:beta]\n"}, "gone": []}
    (sites.folder / "b.ini").unlink()
    assert sites.done(sites.change.look()).sites.removed == ("beta",)
    assert child.prepared[1][0] == {"files": {}, "gone": [f"{sites.folder}/b.ini"]}
    assert set(sites.daemon.settings.sites) == {"alpha"}


def test_a_look_that_finds_nothing_does_nothing(sites: Any) -> None:
    child = sites.reactor.living[0].child
    child.prepared.clear()
    assert not sites.done(sites.change.look())
    assert child.prepared == []


def test_a_look_that_finds_a_child_with_another_configuration_says_so(sites: Any) -> None:
    (process,) = sites.reactor.living
    process.protocol.digest = "of something else"
    assert sites.done(sites.change.look()).children == ("t.main.1",)
    assert sites.done(sites.change.look()).children == ()


def test_a_site_with_mistakes_stays_as_it_was_and_the_others_change(sites: Any, logged: list[str]) -> None:
    (sites.folder / "a.ini").write_text("[site:alpha]\nwieght = 2\n")
    (sites.folder / "b.ini").write_text("[site:beta]\n")
    (sites.folder / "c.ini").write_text("[site:gamma]\nhandler:nope.timeout = 2\n")
    for _ in range(2):
        sites.done(sites.change.look())
    assert set(sites.daemon.settings.sites) == {"alpha", "beta"}
    told = [line for line in logged if "sites not reloaded" in line]
    assert len(told) == 2
    assert f"{sites.folder}/a.ini:2: [site:alpha] wieght: unknown key" in told[0]
    (sites.folder / "c.ini").write_text("[site:gamma]\n")
    sites.done(sites.change.look())
    assert set(sites.daemon.settings.sites) == {"alpha", "beta", "gamma"}


def test_what_a_refused_update_has_read_is_still_noticed(sites: Any) -> None:
    (sites.folder / "a.ini").write_text("[site:alpha]\nname = A\n")
    os.utime(sites.folder / "a.ini", (1e9, 1e9))
    sites.config.write_text(sites.config.read_text() + "[nope]\n")
    assert problems(sites.done(sites.change.update()))
    assert sites.done(sites.change.look()).sites.changed == ("alpha",)


def test_an_update_is_strict_where_a_look_is_not(sites: Any) -> None:
    (sites.folder / "c.ini").write_text("[site:gamma]\nwieght = 2\n")
    sites.done(sites.change.look())
    assert problems(sites.done(sites.change.update()))[0].startswith(f"{sites.folder}/c.ini:2: [site:gamma] wieght")


def test_a_main_file_that_says_more_waits_for_an_update(sites: Any, logged: list[str]) -> None:
    text = sites.config.read_text()
    sites.config.write_text(text.replace("feed", "f") + "[site:home]\n[handler:mail]\nweight = 3\n")
    for _ in range(2):
        sites.done(sites.change.look())
    assert set(sites.daemon.settings.sites) == {"alpha"}
    assert len([line for line in logged if "run snqctl update to apply it" in line]) == 1
    sites.done(sites.change.update())
    assert set(sites.daemon.settings.sites) == {"alpha", "home"}


def test_a_child_with_another_main_file_is_told_everything(sites: Any) -> None:
    child = sites.reactor.living[0].child
    child.prepared.clear()
    sites.config.write_text(sites.config.read_text() + "# a comment\n")
    sites.done(sites.change.update())
    assert child.prepared == []
    (sites.folder / "b.ini").write_text("[site:beta]\n")
    sites.done(sites.change.look())
    ((told, _),) = child.prepared
    assert set(told["files"]) == {str(sites.config), f"{sites.folder}/a.ini", f"{sites.folder}/b.ini"}
