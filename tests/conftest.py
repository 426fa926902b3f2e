"""What all tests share: how hypothesis runs, and a watch over timers that a unit test leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# A suite in the background of a shell inherits a SIGINT that is ignored, and so would every process of its tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a loaded machine is no bug. In CI the same examples every time, and how to repeat the one that failed.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


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
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "snqd-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"CI must be able to mount a file system: {mounted.stderr}")
        pytest.skip(f"can't mount a file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
