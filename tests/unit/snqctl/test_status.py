from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from snqd.core.job import Job
from snqd.snqctl import status
from snqd.snqctl.report import busiest
from snqd.snqctl.tables import duration, moment, number, show_status

DAEMON = {"id": "host", "pid": 7, "version": "1", "started": 0.0, "config": "snq.ini", "state": "running"}
CHILD = {
    "n": 1,
    "id": "host.main.1",
    "pid": 8,
    "state": "idle",
    "started": 0.0,
    "restarts": 2,
    "rss_bytes": 57 * 1024 * 1024,
    "in_flight": 3,
    "claimed": 40,
    "unsettled": 1,
    "handled": 1234567,
    "rate": 2.5,
}
ANSWER = {
    "daemon": DAEMON,
    "groups": [{"name": "main", "state": "running", "children": [CHILD]}],
    "counters": [
        ["greet", "alpha", 10, 8, 1, 1, 2, 0.5],
        ["greet", "beta", 5, 5, 0, 0, 1, 1.5],
        ["resize", "alpha", 1, 0, 0, 0, 0, 0.0],
    ],
    "claimed": {"greet": 40},
    "unsettled": {"greet": 1},
}


def by(rows: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {row[name]: row for row in rows}


def backlog(operator: Any) -> None:
    operator.store.enqueue([Job("1", "alpha", "greet", b"1"), Job("2", "beta", "greet", b"1")])
    operator.store.enqueue([Job("3", "alpha", "greet", b"1", not_before=9e9), Job("4", "zeta", "odd", b"1")])


def test_the_daemons_answer_is_joined_with_what_waits(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backlog(operator)
    operator.store.pause("greet", None, True)
    operator.store.pause("resize", "alpha", True)
    monkeypatch.setattr(status, "call", lambda path, command: ANSWER)
    result = operator("status", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = operator.json("status")
    assert document["daemon"] == DAEMON
    assert document["groups"] == ANSWER["groups"]
    assert [row["queue"] for row in document["queues"]] == ["greet", "resize", "odd"]
    greet = by(document["queues"], "queue")["greet"]
    assert greet.pop("oldest_age") > 1e9
    assert greet == {
        "queue": "greet",
        "group": "main",
        "waiting": 2,
        "delayed": 1,
        "in_flight": 3,
        "claimed": 40,
        "unsettled": 1,
        "enqueued": 17,
        "handled": 13,
        "retried": 1,
        "dead": 1,
        "rate": 2.0,
        "paused": True,
        "paused_sites": [],
    }
    odd = by(document["queues"], "queue")["odd"]
    assert (odd["group"], odd["claimed"], odd["unsettled"]) == (None, 0, 0)
    sites = by(document["sites"], "site")
    assert list(sites) == ["alpha", "beta", "zeta"]
    assert sites["alpha"] == {
        "site": "alpha",
        "configured": True,
        "waiting": 1,
        "delayed": 1,
        "in_flight": 2,
        "handled": 8,
        "retried": 1,
        "dead": 1,
        "rate": 0.5,
        "paused": False,
        "paused_queues": ["resize"],
    }
    assert not sites["zeta"]["configured"]


def test_without_a_daemon_depths_are_shown_and_the_exit_code_is_one(operator: Any) -> None:
    backlog(operator)
    result = operator("status", "--json")
    assert result.exit_code == 1
    assert result.stderr.startswith("snqctl: no daemon answers at ")
    document = operator.json("status")
    assert document["daemon"] is None
    assert document["groups"] == []
    greet = by(document["queues"], "queue")["greet"]
    assert (greet["waiting"], greet["in_flight"], greet["handled"], greet["rate"]) == (2, 0, None, None)
    assert (greet["claimed"], greet["unsettled"]) == (None, None)


def test_without_a_store_nothing_waits_and_none_is_made(operator: Any) -> None:
    document = operator.json("status")
    assert [row["waiting"] for row in document["queues"]] == [0, 0]
    assert not operator.state.exists()


def test_a_store_that_can_not_be_read_leaves_its_numbers_open(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.state.mkdir()
    (operator.state / "queue.db").write_bytes(b"no database" * 500)
    monkeypatch.setattr(status, "call", lambda path, command: ANSWER)
    result = operator("status", "--json")
    assert result.exit_code == 1
    assert "queue.db is no SQLite file" in result.stderr
    greet = by(operator.json("status")["queues"], "queue")["greet"]
    assert (greet["waiting"], greet["oldest_age"], greet["handled"]) == (None, None, 13)


def test_tables_read_well_in_80_columns(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backlog(operator)
    operator.store.pause("resize", "alpha", True)
    monkeypatch.setattr(status, "call", lambda path, command: ANSWER)
    shown = operator("status").stdout
    assert shown.startswith("daemon host (pid 7, snqd 1): running, up ")
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert any(line.startswith("main.1 idle 8 ") and line.endswith("2 57 MB 3+40 1.2M 2.5") for line in lines)
    assert any(line.startswith("greet 2 1 ") and line.endswith(" 3+40 13 1 1 2.0") for line in lines)
    assert "resize 0 0 0 0 0 0 0.0 partly" in lines
    assert "beta 1 0 1 5 0 0 1.5" in lines
    assert max(map(len, shown.splitlines())) <= 80


def test_a_child_whose_store_is_away_is_seen_as_such_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snqd.snqctl.tables.unix_time", lambda: 200.0)
    out = Console(file=io.StringIO(), width=80)
    away = {**CHILD, "trouble": "Redis at here refuses: [it] is full", "trouble_since": 75.0}
    groups = [{"name": "main", "state": "running", "children": [away, {**CHILD, "n": 2, "trouble": None}]}]
    show_status({"daemon": DAEMON, "groups": groups, "queues": [], "sites": []}, out)
    shown = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[:3] for line in shown[2:4]] == [["main.1", "store", "away"], ["main.2", "idle", "8"]]
    assert shown[4] == "main.1: store away for 2m 5s: Redis at here refuses: [it] is full"
    assert max(map(len, shown)) <= 80


def test_what_io_managers_report_has_a_line_each() -> None:
    out = Console(file=io.StringIO(), width=80)
    figures = {"inbox": {"taken": 12, "state": "up", "late": None, "\x1b[2J": 1}, "feeds:alpha": {"rate": 0.5}}
    groups = [{"name": "main", "state": "running", "children": [{**CHILD, "managers": figures}]}]
    show_status({"daemon": DAEMON, "groups": groups, "queues": [], "sites": []}, out)
    shown = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert shown[3].startswith("main.1: inbox: taken 12, state up, late null, ")
    assert "\x1b" not in shown[3]
    assert shown[4] == "main.1: feeds:alpha: rate 0.5"


def test_a_group_that_failed_is_seen_as_such() -> None:
    out = Console(file=io.StringIO(), width=80)
    groups = [{"name": "main", "state": "failed", "children": [{**CHILD, "state": "waiting", "pid": None, "n": 0}]}]
    groups[0]["reason"] = "can't import farm.Thumbs"
    show_status({"daemon": DAEMON, "groups": groups, "queues": [], "sites": []}, out)
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert "main.solo failed" in shown
    assert "group main: can't import farm.Thumbs" in shown


def test_only_sites_with_something_to_tell_are_in_the_table_the_busiest_first() -> None:
    quiet = {"site": "quiet", "waiting": 0, "in_flight": 0, "handled": 0, "rate": 0.0, "paused": False}
    rows = [quiet, {**quiet, "site": "slow", "handled": 5}, {**quiet, "site": "fast", "rate": 2.0}]
    paused = {**quiet, "site": "halted", "paused": True}
    assert [row["site"] for row in busiest([*rows, paused], 2)] == ["fast", "slow"]
    assert [row["site"] for row in busiest([*rows, paused], 9)] == ["fast", "slow", "halted"]


@pytest.mark.parametrize(("number", "told"), [(1, "1 more site, quieter"), (2, "2 more sites, quieter")])
def test_sites_that_are_left_out_are_counted(number: int, told: str) -> None:
    out = io.StringIO()
    numbers = dict.fromkeys(("waiting", "delayed", "in_flight", "handled", "retried", "dead", "rate"), 0)
    row = {**numbers, "configured": True, "paused": False, "paused_queues": []}
    document = {"daemon": None, "groups": [], "queues": [], "sites": [{**row, "site": f"s{n}"} for n in range(number)]}
    show_status(document, Console(file=out, width=80))
    assert told in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0s"), (59.9, "59s"), (200, "3m 20s"), (18_120, "5h 2m"), (1_047_600, "12d 3h")]
)
def test_durations_have_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.5, "0.5"), (15_123.4, "15,123"), (999_999, "999,999"), (12_345_678, "12.3M")]
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_time_that_no_calendar_has_is_a_number() -> None:
    assert moment(1e300) == "1e+300"


def test_sites_tell_where_they_are_defined(operator: Any) -> None:
    operator.store.pause(None, "beta", True)
    rows = operator.json("sites")
    assert [(row["site"], row["server"], row["weight"], row["paused"]) for row in rows] == [
        ("alpha", "alpha.example", 1.0, False),
        ("beta", "beta", 1.0, True),
    ]
    assert all(row["source"].startswith(str(operator.config)) for row in rows)
    assert set(rows[0]) == {"site", "server", "name", "weight", "source", "paused"}
    table = operator("sites")
    assert table.exit_code == 0
    assert "alpha.example" in table.stdout


def test_the_word_paused_is_whole_beside_a_long_name_and_large_numbers() -> None:
    out = io.StringIO()
    numbers = dict.fromkeys(("waiting", "delayed", "in_flight", "handled", "retried", "dead"), 123_456)
    row = {"queue": "a-queue-with-a-long-name", **numbers, "oldest_age": 18_120, "rate": 1234.5}
    document = {"daemon": None, "groups": [], "queues": [{**row, "paused": True, "paused_sites": []}], "sites": []}
    show_status(document, Console(file=out, width=80))
    header, first, *_ = (line.rstrip() for line in out.getvalue().splitlines())
    assert header.endswith(" paused")
    assert first.endswith(" paused")
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_the_daemon_is_shown_in_spite_of_a_wrong_file(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(status, "call", lambda path, command: asked.append(path) or ANSWER)
    operator.configure("[queue]\nmax_retries = often\nhalf an edit\n")
    result = operator("status", "--json")
    assert result.exit_code == 2
    assert "[queue] max_retries" in result.stderr
    document = json.loads(result.stdout)
    assert (document["daemon"], document["groups"]) == (DAEMON, ANSWER["groups"])
    assert {row["waiting"] for row in document["queues"]} == {None}
    assert not operator.state.exists()
    assert operator("status").exit_code == 2
    assert asked == [operator.state / "control.sock"] * 2


def test_a_child_that_waits_for_another_host_is_seen_with_its_holder() -> None:
    out = Console(file=io.StringIO(), width=80)
    waits = [{**CHILD, "state": "standby"}]
    groups = [
        {"name": "xmpp", "state": "running", "holder": "other", "children": waits},
        {"name": "feeds", "state": "running", "holder": None, "children": waits},
        {"name": "main", "state": "running", "holder": "host", "children": [CHILD]},
    ]
    show_status({"daemon": DAEMON, "groups": groups, "queues": [], "sites": []}, out)
    shown = [" ".join(line.split()) for line in out.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert shown[2].startswith("xmpp.1 held by other 8")
    assert shown[3].startswith("feeds.1 standby 8")
    assert shown[4].startswith("main.1 idle 8")
