"""``twistd snqd``: options and service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError

from snqd import tap
from snqd.config.load import Overrides
from snqd.core.clocks import monotonic
from snqd.core.errors import ConfigError
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.state_dir import DaemonLock
from snqd.ops.control_server import ControlServer


def options(*arguments: str) -> tap.Options:
    parsed = tap.Options()
    parsed.parseOptions(list(arguments))
    return parsed


def configured(folder: Path, text: str = "") -> Path:
    path = folder / "snq.ini"
    path.write_text(f"[snqd]\nid = t\n{text}")
    return path


class Reactor(MemoryReactorClock):
    def stop(self) -> None:
        raise AssertionError("nobody asked for it")


def test_the_options_are_those_of_the_manual() -> None:
    parsed = options("-c", "snq.ini", "--threads", "3", "--id", "web1")
    assert (parsed["config"], parsed["threads"], parsed["id"]) == ("snq.ini", 3, "web1")


@pytest.mark.parametrize("arguments", [(), ("--config", "snq.ini", "--threads", "many"), ("--nope",)])
def test_wrong_options_are_refused(arguments: Any) -> None:
    with pytest.raises(UsageError):
        options(*arguments)


def test_the_service_is_the_daemon_with_its_control_socket_and_holds_nothing_yet(tmp_path: Path) -> None:
    service = tap.make_service(Reactor(), configured(tmp_path), Overrides())
    assert isinstance(service, QueueDaemon)
    assert any(isinstance(each, ControlServer) for each in service)
    DaemonLock(tmp_path / "state").check()


@pytest.fixture
def reactor(monkeypatch: pytest.MonkeyPatch) -> MemoryReactorClock:
    """What twistd has installed."""
    fake = Reactor()
    monkeypatch.setattr("twisted.internet.reactor", fake)
    return fake


def test_the_daemons_timers_follow_no_clock_that_is_set(tmp_path: Path, reactor: MemoryReactorClock) -> None:
    tap.makeService(options("--config", str(configured(tmp_path))))
    assert reactor.seconds is monotonic


@pytest.mark.usefixtures("reactor")
def test_problems_of_the_configuration_are_printed_one_a_line(tmp_path: Path) -> None:
    path = configured(tmp_path, "thraeds = 3\ndrain_timeout = soon\n")
    with pytest.raises(SystemExit) as ended:
        tap.makeService(options("--config", str(path)))
    lines = str(ended.value.code).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}:") for line in lines)


@pytest.mark.usefixtures("reactor")
def test_a_second_daemon_ends_in_plain_words(tmp_path: Path) -> None:
    path = configured(tmp_path)
    (tmp_path / "state").mkdir()
    lock = DaemonLock(tmp_path / "state")
    lock.take()
    with pytest.raises(SystemExit, match="another daemon"):
        tap.makeService(options("--config", str(path)))
    lock.release()


def test_the_overrides_reach_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads"):
        tap.make_service(Reactor(), configured(tmp_path), Overrides(threads=0))
