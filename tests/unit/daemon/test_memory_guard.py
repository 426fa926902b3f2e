"""Children that grow, without processes."""

from __future__ import annotations

from typing import Any

MB = 1024**2


def limited(more: str = "") -> str:
    # Appended to [queue]: a soft limit of 90 MB.
    return f"softlimit = 90m\n{more}"


def errors(logged: list[str]) -> list[str]:
    return [line for line in logged if line.startswith("error:")]


def grown(process: Any, size: int, settled: int = 1000) -> None:
    process.child.beat(rss_bytes=size * MB, settled=settled)


def test_a_child_at_the_limit_is_replaced_by_one_that_is_up_first(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    (old,) = s.reactor.living
    grown(old, 50, settled=0)
    grown(old, 89)
    assert s.reactor.living == [old]
    grown(old, 90)
    fresh = s.reactor.living[1]
    assert old.child.stops == 0
    fresh.child.ready()
    s.reactor.advance(0)
    assert old.child.stops == 1
    line = "warn: child t.main.1 (pid 1000) has 90 MB of memory, the soft limit is 90 MB: a fresh one takes its place"
    assert logged.count(line) == 1


def test_children_are_replaced_one_at_a_time(stage: Any) -> None:
    s = stage(limited(), threads=2).started_ready()
    one, two = s.reactor.processes
    for process in (one, two, one):
        grown(process, 95)
    assert len(s.reactor.living) == 3
    s.reactor.living[2].child.ready()
    s.reactor.advance(0)
    one.exits(0)
    assert len(s.reactor.living) == 2
    grown(two, 95)
    assert [process.spec.n for process in s.reactor.living] == [2, 1, 2]


def test_without_a_limit_of_its_own_a_process_has_its_share_of_the_whole(stage: Any) -> None:
    s = stage(threads=2).started_ready()
    one, _ = s.reactor.processes
    grown(one, 899)
    assert len(s.reactor.living) == 2
    grown(one, 900)  # 90 % of 3,000 MB for two children and their parent
    assert len(s.reactor.living) == 3


def test_a_limit_below_a_fresh_childs_need_is_one_error_and_no_restart(stage: Any, logged: list[str]) -> None:
    s = stage(limited(), threads=2).started_ready()
    for process in s.reactor.processes * 3:
        grown(process, 95, settled=0)
    assert len(s.reactor.living) == 2
    (line,) = errors(logged)
    assert "the soft memory limit of 90 MB is below what a fresh child of group main needs, 95 MB: raise" in line
    assert line.endswith("until then a child is replaced at 119 MB")


def test_a_fresh_child_that_can_not_boot_is_told_and_tried_later(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    (old,) = s.reactor.living
    grown(old, 95)
    s.reactor.living[1].exits(1)
    grown(old, 95)
    assert s.reactor.living == [old]
    assert any("can't be replaced: child t.main.1 did not come up" in line for line in errors(logged))
    for _ in range(30):
        s.reactor.advance(1)
        grown(old, 95)
    assert len(s.reactor.living) == 2


def test_a_stop_meanwhile_is_no_error(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    (old,) = s.reactor.living
    grown(old, 95)
    fresh = s.reactor.living[1]
    s.stop()
    fresh.exits(0)
    grown(old, 95)
    old.exits(0)
    assert errors(logged) == []
    assert len(s.reactor.processes) == 2


def test_a_solo_child_at_the_limit_ends(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    s.reactor.processes[0].child.beat(solo_waiting=True)
    solo = s.reactor.named("t.main.solo")
    solo.child.ready()
    grown(solo, 95)
    s.reactor.advance(0)
    assert solo.child.stops == 1
    solo.child.beat(state="shutdown", rss_bytes=95 * MB)
    s.reactor.advance(0)
    assert solo.child.stops == 1
    assert any("it ends, and comes back when it is needed" in line for line in logged)


def test_debug_memory_logs_changes_of_a_megabyte(stage: Any, logged: list[str]) -> None:
    s = stage("debug_memory = yes\n").started_ready()
    (child,) = s.reactor.living
    for size in (50 * MB, 50 * MB + 1000, 51 * MB, 49 * MB):
        child.child.beat(rss_bytes=size)
    assert [line for line in logged if "of memory" in line] == [
        "info: child t.main.1 (pid 1000) has 50 MB of memory, +50.0 MB",
        "info: child t.main.1 (pid 1000) has 51 MB of memory, +1.0 MB",
        "info: child t.main.1 (pid 1000) has 49 MB of memory, -2.0 MB",
    ]


def test_the_parent_complains_of_itself_and_again_after_it_has_grown(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    seen = []
    for own in (80, 90, 91, 112, 113, 113):
        s.own_bytes = own * MB
        s.reactor.advance(1)
        seen.append(len(errors(logged)))
    assert seen == [0, 1, 1, 1, 2, 2]
    assert "the daemon's own process has 90 MB of memory" in errors(logged)[0]


def test_another_limit_holds_after_the_reload(stage: Any, logged: list[str]) -> None:
    s = stage(limited()).started_ready()
    (old,) = s.reactor.living
    reload = s.reload()
    grown(old, 50, settled=0)
    grown(old, 89)
    s.write("softlimit = 80m\ndebug_memory = yes\n")
    changes = s.done(reload.update())
    assert list(changes.keys) == ["[queue] softlimit", "[queue] debug_memory"]
    assert s.reactor.living == [old]
    grown(old, 82)
    assert len(s.reactor.living) == 2
    assert any(line.startswith("info: child t.main.1 (pid 1000) has 82 MB of memory") for line in logged)
    assert any("the soft limit is 80 MB: a fresh one takes its place" in line for line in logged)


def test_a_higher_limit_after_the_reload_mends_one_that_was_too_low(stage: Any, logged: list[str]) -> None:
    s = stage("softlimit = 40m\n").started_ready()
    (old,) = s.reactor.living
    reload = s.reload()
    grown(old, 50, settled=0)
    assert "is below what a fresh child of group main needs" in errors(logged)[0]
    s.write("softlimit = 200m\n")
    s.done(reload.update())
    grown(old, 199)
    assert s.reactor.living == [old]
    grown(old, 200)
    assert len(s.reactor.living) == 2
