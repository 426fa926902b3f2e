"""What all tests share: how hypothesis runs, and a watch over timers that a unit test leaves behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.servers.small_disk import SmallDisk

# A suite in the background of a shell inherits a SIGINT that is ignored, and so would every process of its tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a loaded machine is no bug. In CI the same examples every time, and how to repeat the one that failed.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")

SERVERS = ("rabbitmq", "activemq", "postgresql", "mariadb", "redis")


@pytest.fixture(autouse=True)
def _no_timer_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test has a clock of its own; one that leaves a timer in the real reactor has used the wrong one."""
    before = _timers()
    yield
    if "unit" in request.path.parts:
        left = _timers() - before
        assert not left, f"the test left timers in the reactor: {left}"


def _timers() -> set[object]:
    reactor = sys.modules.get("twisted.internet.reactor")
    return set(reactor.getDelayedCalls()) if reactor is not None else set()  # type: ignore[attr-defined]


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, by a shorter name: a daemon's control socket lies in it, and a socket's path has a limit."""
    return tmp_path_factory.mktemp("t")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which tests run beside the usual ones."""
    parser.addoption("--today", action="store_true", help="also the tests on Debian 13's servers, in their short form")
    parser.addoption("--long", action="store_true", help="the long form of tests that have one, as with SNQD_FULL=1")


def pytest_configure(config: pytest.Config) -> None:
    """An environment variable tells the processes of the suite, and the modules that ask as they are imported."""
    if config.getoption("--long"):
        os.environ["SNQD_FULL"] = "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for.

    Then say what must run in one process, one after the other, where several run the suite: all of the contract on one
    server, which is started once for it, and elsewhere a file's tests of one server. Unit tests share nothing."""
    if not config.getoption("--today"):
        left_out = [item for item in items if item.get_closest_marker("today")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("today")]
    for item in items:
        if "unit" not in item.path.parts:
            room = "contract" if "contract" in item.path.parts else item.path.stem
            item.add_marker(pytest.mark.xdist_group(f"{room} {_server(item)}"))


def _server(item: pytest.Item) -> str:
    words = item.name.partition("[")[2].lower()
    return next((server for server in SERVERS if server in words), "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    disk = SmallDisk(tmp_path / "disk", 2, "mode=0700")
    yield disk.folder
    disk.remove()
