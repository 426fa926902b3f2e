"""The way of a child's log lines into the parent's log."""

from __future__ import annotations

import io
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, formatEvent, globalLogPublisher

from snqd.pipe import log_lines
from snqd.pipe.log_lines import LINE_BYTES, ChildLog, LevelledLines
from snqd.pipe.log_record import record_of


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
    child = Logger("tests.here", observer=LevelledLines(stream))
    child.warn("the disk is {how} full", how="nearly")
    child.info("two\nlines", site="alpha", job="j-1", attempt=2, odd=object)
    log = ChildLog(Clock(), "t.main.1")
    log.stderr.feed(stream.getvalue().encode())
    assert stream.getvalue().count("\n") == 2
    assert [(event["log_level"].name, event["log_namespace"]) for event in events] == [
        ("warn", "tests.here"),
        ("info", "tests.here"),
    ]
    assert [formatEvent(event) for event in events] == ["[t.main.1] the disk is nearly full", "[t.main.1] two\nlines"]
    fields = {
        "site": "alpha",
        "job": "j-1",
        "attempt": 2,
        "odd": "<class 'object'>",
        "child": "t.main.1",
    }
    assert record_of(events[1]).fields == fields
    assert log.last == "the disk is nearly full"


def failed(message: str) -> bytes:
    """What a child writes for an exception."""
    stream = io.StringIO()
    try:
        raise ValueError("broken")
    except ValueError:
        Logger(observer=LevelledLines(stream)).failure(message)
    return stream.getvalue().encode()


def test_a_traceback_goes_with_its_event(events: Any) -> None:
    line = failed("it failed")
    assert line.startswith(b"<2>")
    assert line.count(b"\n") == 1
    ChildLog(Clock(), "t.main.1").stderr.feed(line)
    (event,) = events
    assert formatEvent(event).startswith("[t.main.1] it failed\nTraceback (most recent call last)")
    assert formatEvent(event).endswith("ValueError: broken")
    assert "ValueError: broken" in record_of(event).traceback


def test_an_event_that_is_too_long_is_cut_and_still_read(events: Any) -> None:
    line = failed("\0" * 100_000)
    assert len(line) < LINE_BYTES
    ChildLog(Clock(), "t.main.1").stderr.feed(line)
    (event,) = events
    assert "[cut]" in event["text"]
    assert record_of(event).traceback.endswith("ValueError: broken\n")


@pytest.mark.parametrize("line", [b"<3>\x1enonsense\n", b'<3>\x1e{"no": "record"}\n', b"<3>\x1e[]\n"])
def test_what_only_looks_like_a_record_is_a_line(events: Any, line: bytes) -> None:
    ChildLog(Clock(), "t.main.1").stderr.feed(line)
    assert lines(events) == [("error", line[3:-1].decode())]


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
    monkeypatch.setattr(log_lines, "LINES_A_SECOND", 3)
    clock = Clock()
    log = ChildLog(clock, "t.main.1")
    log.stdout.feed(b"line\n" * 10)
    clock.advance(1)
    log.stdout.feed(b"later\n")
    assert [line for _, line in lines(events)] == ["line"] * 3 + ["later"]
    (dropped,) = [event for event in events if "dropped" in event]
    assert (dropped["dropped"], dropped["log_level"]) == (7, LogLevel.warn)
