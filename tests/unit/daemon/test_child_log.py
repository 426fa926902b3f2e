"""The way of a child's log lines into the parent's log."""

from __future__ import annotations

import io
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, globalLogPublisher

from snqd.daemon import child_log
from snqd.daemon.child_log import LINE_BYTES, ChildLog, LevelledLines


@pytest.fixture
def events() -> Any:
    seen: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(seen.append)
    yield seen
    globalLogPublisher.removeObserver(seen.append)


def lines(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["log_level"].name, event["line"]) for event in events if "line" in event]


def test_the_level_of_an_event_survives_the_way(events: Any) -> None:
    stream = io.StringIO()
    child = Logger(observer=LevelledLines(stream))
    child.warn("the disk is {how} full", how="nearly")
    child.info("two\nlines")
    log = ChildLog(Clock(), "t.main.1")
    log.stderr.feed(stream.getvalue().encode())
    assert lines(events) == [("warn", "the disk is nearly full"), ("info", "two"), ("info", "lines")]
    assert events[0]["child"] == "t.main.1"


def test_a_traceback_goes_with_its_event(events: Any) -> None:
    stream = io.StringIO()
    try:
        raise ValueError("broken")
    except ValueError:
        Logger(observer=LevelledLines(stream)).failure("it failed")
    text = stream.getvalue()
    assert all(line.startswith("<2>") for line in text.splitlines())
    assert "ValueError: broken" in text


def test_lines_without_a_level_are_errors_on_stderr_and_information_on_stdout(events: Any) -> None:
    log = ChildLog(Clock(), "t.main.1")
    log.stderr.feed(b"Segmentation fault\n")
    log.stdout.feed(b"printed\n")
    assert lines(events) == [("error", "Segmentation fault"), ("info", "printed")]
    assert log.last == "Segmentation fault"


def test_lines_come_in_pieces_and_the_last_needs_no_end(events: Any) -> None:
    log = ChildLog(Clock(), "t.main.1")
    log.stderr.feed(b"<6>on")
    log.stderr.feed(b"e\n<6>tw")
    log.stderr.feed(b"o")
    log.end()
    assert lines(events) == [("info", "one"), ("info", "two")]


def test_a_line_without_end_is_cut_and_costs_no_memory(events: Any) -> None:
    log = ChildLog(Clock(), "t.main.1")
    for _ in range(100):
        log.stdout.feed(b"x" * 4096)
    log.stdout.feed(b"\nnext\n")
    first, second = lines(events)
    assert first[1] == "x" * LINE_BYTES + " [cut]"
    assert second[1] == "next"


def test_bytes_that_are_no_text_are_shown(events: Any) -> None:
    ChildLog(Clock(), "t.main.1").stdout.feed(b"\xff{not_a_key}\n")
    assert lines(events) == [("info", "\\xff{not_a_key}")]


def test_a_flood_is_dropped_and_counted(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_log, "LINES_A_SECOND", 3)
    clock = Clock()
    log = ChildLog(clock, "t.main.1")
    log.stdout.feed(b"line\n" * 10)
    clock.advance(1)
    log.stdout.feed(b"later\n")
    assert [line for _, line in lines(events)] == ["line"] * 3 + ["later"]
    (dropped,) = [event for event in events if "dropped" in event]
    assert (dropped["dropped"], dropped["log_level"]) == (7, LogLevel.warn)
