"""``snqctl top``: what it shows in which order, and its keys."""

from __future__ import annotations

import io
import os
import pty
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from snqd.ops.control import ControlFailed
from snqd.snqctl import status
from snqd.snqctl.keys import read_key, single_keys
from snqd.snqctl.top_view import BY_KEY, ORDERS, Screen, StatusSnapshot, in_order, keys_line, view

NUMBERS = {"waiting": 0, "in_flight": 0, "handled": 0, "retried": 0, "dead": 0, "rate": 0.0, "paused": False}
DAEMON = {"id": "host", "pid": 7, "version": "1", "started": 0.0, "config": "snq.ini", "state": "running"}


def queue(name: str, **numbers: Any) -> dict[str, Any]:
    return {"queue": name, "delayed": 0, "oldest_age": None, "paused_sites": [], **NUMBERS, **numbers}


def site(name: str, **numbers: Any) -> dict[str, Any]:
    return {"site": name, "configured": True, "delayed": 0, "paused_queues": [], **NUMBERS, **numbers}


def child(n: int) -> dict[str, Any]:
    known = {"id": f"host.main.{n}", "pid": 100 + n, "state": "queue", "started": 0.0, "restarts": 0}
    return {"n": n, **known, "rss_bytes": 60 * 1024**2, "in_flight": 1, "handled": 9, "rate": 1.5}


def document(children: int = 2, queues: int = 2, sites: int = 2) -> dict[str, Any]:
    return {
        "daemon": DAEMON,
        "groups": [{"name": "main", "state": "running", "children": [child(n) for n in range(1, children + 1)]}],
        "queues": [queue(f"queue-{n}", waiting=n) for n in range(queues)],
        "sites": [site(f"site-{n}", rate=float(n)) for n in range(sites)],
    }


def shown(look: StatusSnapshot, order: str = "rate", height: int | None = None) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(view(look, order, height))
    return out.getvalue().splitlines()


def test_children_queues_and_sites_have_their_rates() -> None:
    lines = [" ".join(line.split()) for line in shown(StatusSnapshot(document()))]
    assert lines[0].startswith("daemon host (pid 7, snqd 1): running, up ")
    assert any(line.startswith("main.1 queue 101 ") and line.endswith("60 MB 1 9 1.5") for line in lines)
    assert lines.index("site-1 0 0 0 0 0 0 1.0") < lines.index("site-0 0 0 0 0 0 0 0.0")


@pytest.mark.parametrize("height", [24, 50])
def test_a_full_screen_has_some_of_everything(height: int) -> None:
    problems = ["no store at x: " + "why " * 30]
    lines = shown(StatusSnapshot(document(children=100, queues=100, sites=1000), problems), height=height)
    assert len(lines) + 1 <= height  # the line of keys is above
    for word in ("main.1 ", "queue-", "site-"):
        assert sum(line.startswith(word) for line in lines) >= 1
    assert max(map(len, lines)) <= 80


def test_what_does_not_fit_is_counted() -> None:
    full = document(children=100, queues=100, sites=1000)
    lines = shown(StatusSnapshot(full), height=24)
    counts = [int(word.replace(",", "")) for word in lines[-1].removeprefix("not shown: ").split()[::2]]
    assert sum(counts) == 1200 - sum(line.startswith(("main.", "queue-", "site-")) for line in lines)
    assert not any(
        "not shown" in line for line in shown(StatusSnapshot(full)) + shown(StatusSnapshot(document()), height=24)
    )


def test_a_row_is_a_line_however_long_its_name() -> None:
    names = [f"{'long' * 12}-{n}" for n in range(2)]
    rows = {**document(), "queues": [queue(name) for name in names], "sites": [site(name) for name in names]}
    lines = shown(StatusSnapshot(rows), height=24)
    assert [line[:4] for line in lines if "…" in line] == ["long"] * 4
    assert max(map(len, lines)) <= 80
    assert sum("long" in line for line in shown(StatusSnapshot(rows))) > 4  # to be copied whole


def test_a_narrow_terminal_shows_the_left_of_it() -> None:
    out = io.StringIO()
    Console(file=out, width=40).print(Screen(keys_line("rate"), view(StatusSnapshot(document()), "rate", 24)))
    narrow = out.getvalue().splitlines()
    assert [line.rstrip() for line in narrow[1:]] == [
        line[:40].rstrip() for line in shown(StatusSnapshot(document()), height=24)
    ]


def test_without_a_daemon_it_says_so_and_shows_what_waits() -> None:
    lines = shown(StatusSnapshot({**document(), "daemon": None, "groups": []}, ["no daemon answers at x"]))
    assert lines[0] == "no daemon answers at x"
    assert any(line.startswith("queue-1") for line in lines)


def test_rows_are_sorted_the_most_first_and_the_unknown_last() -> None:
    rows = [queue("b", waiting=1), queue("c", waiting=None), queue("a", waiting=5)]
    assert [row["queue"] for row in in_order(rows, "queue", "waiting")] == ["a", "b", "c"]
    assert [row["queue"] for row in in_order(rows, "queue", "name")] == ["a", "b", "c"]
    for order in ORDERS:
        assert len(in_order(rows, "queue", order)) == 3


def test_every_order_has_a_key_of_its_own_and_the_line_of_keys_fits() -> None:
    assert len(BY_KEY) == len(ORDERS)
    assert "q" not in BY_KEY
    assert len(keys_line("rate").plain) <= 80


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_keys_come_at_once_and_the_terminal_is_as_before(terminal: tuple[int, int]) -> None:
    keyboard, program = terminal
    before = termios.tcgetattr(program)
    with single_keys(program):
        assert read_key(program, 0.0) == ""
        os.write(keyboard, b"n")
        assert read_key(program, 5.0) == "n"
    assert termios.tcgetattr(program) == before


def test_a_closed_input_is_the_end() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    assert read_key(reading, 1.0) is None
    os.close(reading)


def test_it_prints_once_where_there_is_no_terminal(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"daemon": DAEMON, "groups": document()["groups"], "counters": []}
    monkeypatch.setattr(status, "call", lambda path, command: answer)
    result = operator("top", "--sort", "name")
    assert result.exit_code == 0
    assert result.stdout.startswith("daemon host")


def test_a_daemon_that_does_not_answer_is_told(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator("top").exit_code == 1

    def call(path: Any, command: str) -> Any:
        raise ControlFailed("the daemon did not answer status: timed out")

    monkeypatch.setattr(status, "call", call)
    result = operator("top")
    assert result.exit_code == 1
    assert result.stdout.startswith("the daemon did not answer status: timed out")
