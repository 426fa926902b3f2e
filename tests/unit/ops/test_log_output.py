"""The daemon's log: where it goes, in which form, and how much of it."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.application.service import Application, Service
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, Logger, LogLevel

from snqd.config.load import load
from snqd.config.sources import Sources
from snqd.ops import log_output
from snqd.ops.log_output import LoggedService, log_observer
from snqd.pipe.log_levels import BadLogLevel, LogLevels
from snqd.pipe.log_record import LogRecord, event_of


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    # pytest sets its own sys.stdout anew for every phase of a test.
    monkeypatch.setattr(log_output, "sys", SimpleNamespace(stdout=stream))
    return stream


def logger(log_format: str, levels: LogLevels | None = None, namespace: str = "snqd.here", **twistd: Any) -> Logger:
    observer = log_observer({"nodaemon": True, **twistd}, MemoryReactorClock(), log_format, levels or LogLevels())
    return Logger(namespace, observer=observer)


def test_json_is_one_object_a_line_with_the_fields_of_the_event(out: io.StringIO) -> None:
    log = logger("json")
    log.warn("job {job} is\nlate", job="j-1", site="alpha", attempt=2, message="its own")
    try:
        raise ValueError("broken")
    except ValueError:
        log.failure("it failed")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first.pop("time") > 1e9
    assert first == {
        "level": "warn",
        "namespace": "snqd.here",
        "message": "job j-1 is\nlate",
        "job": "j-1",
        "site": "alpha",
        "attempt": 2,
    }
    assert second["message"] == "it failed"
    assert second["traceback"].endswith("ValueError: broken\n")


def test_what_a_child_logged_has_its_own_fields(out: io.StringIO) -> None:
    record = LogRecord("snqd.queues.settler", "error", "job j-1 failed", "Traceback ...", {"job": "j-1"})
    log = logger("json", namespace="snqd.queues.settler")
    log.emit(LogLevel.error, "[{child}] {text}{end}", **event_of("t.main.1", record))
    line = json.loads(out.getvalue())
    del line["time"]
    assert line == {
        "level": "error",
        "namespace": "snqd.queues.settler",
        "message": "job j-1 failed",
        "traceback": "Traceback ...",
        "job": "j-1",
        "child": "t.main.1",
    }


def test_text_tells_level_and_namespace(out: io.StringIO) -> None:
    logger("text").error("the disk is full")
    assert out.getvalue().endswith("[snqd.here#error] the disk is full\n")


def test_letters_are_written_as_they_are_and_what_a_terminal_would_obey_is_not(
    out: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    said = "Zürich \udc80 \x1b[31m \x9b \u202e"
    for log_format in ("text", "json"):
        for place in ({"nodaemon": True}, {"logfile": str(tmp_path / log_format)}):
            logger(log_format, **place).info("{said}\n\tnext", said=said)
    written = [
        *out.getvalue().split("\n"),
        *(tmp_path / "text").read_text("utf-8").split("\n"),
        (tmp_path / "json").read_text("utf-8"),
    ]
    lines = [line for line in written if "Zürich" in line]
    assert [line for line in lines if "Zürich \\udc80 \\u001b[31m \\u009b \\u202e" not in line] == []
    assert len(lines) == 4
    assert json.loads(lines[-1])["said"] == said


def test_a_level_holds_for_a_namespace_and_what_is_within_it(out: io.StringIO) -> None:
    levels = LogLevels()
    here, there = logger("text", levels, "snqd.here.within"), logger("text", levels, "snqd.there")
    here.debug("one")
    levels.set("snqd.here", "debug")
    levels.set("", "error")
    here.debug("two")
    there.warn("three")
    there.error("four")
    assert [line.split("] ")[1] for line in out.getvalue().splitlines()] == ["two", "four"]
    assert levels.changed == {"snqd.here": "debug", "": "error"}


def test_a_level_that_is_none_is_refused() -> None:
    levels = LogLevels()
    with pytest.raises(BadLogLevel, match="'loud' is no log level: write debug, info, warn, error, critical"):
        levels.set("snqd", "loud")
    assert levels.changed == {}


def test_a_file_is_rotated_by_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    reactor = MemoryReactorClock()
    reactor.callFromThread = lambda call: call()
    file = tmp_path / "log"
    observer = log_observer({"logfile": str(file)}, reactor, "text", LogLevels())
    Logger(observer=observer).info("before")
    handlers[signal.SIGUSR1](signal.SIGUSR1, None)
    Logger(observer=observer).info("after")
    assert "after" in file.read_text()
    assert "before" in (tmp_path / "log.1").read_text()


def test_a_daemon_without_a_terminal_needs_a_file() -> None:
    with pytest.raises(SystemExit, match="name a file with --logfile"):
        log_observer({"logfile": "-"}, MemoryReactorClock(), "text", LogLevels())


@pytest.mark.parametrize(("twistd", "ours"), [({}, True), ({"syslog": True}, False), ({"logger": "x.y"}, False)])
def test_twistds_own_log_is_left_to_it(twistd: dict[str, Any], ours: bool, out: io.StringIO) -> None:
    settings = load(Sources(Path("snq.ini"), {"snq.ini": "[snqd]\nid = t\n"}), plugins={}).daemon
    application = Application("snqd")
    service = LoggedService(Service(), {"nodaemon": True, **twistd}, MemoryReactorClock(), settings, LogLevels())
    service.setServiceParent(application)
    assert (application.getComponent(ILogObserver, None) is not None) is ours
