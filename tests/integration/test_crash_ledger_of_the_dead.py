"""The crash ledger of a process that was killed, and on a disk without space."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import snqd
from snqd.core.errors import StoreUnavailable
from snqd.pipe.crash_ledger import CrashLedger, LedgerContents, is_held, read_ledger

CHILD = """
import sys
from pathlib import Path
from snqd.pipe.crash_ledger import CrashLedger
ledger = CrashLedger(Path(sys.argv[1]), "main-1", 3)
slots = [ledger.started(name) for name in ("job-1", "x" * 64, "job-3")]
ledger.ended(slots[0])
print("running", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that runs two jobs, and its ledger."""
    path = tmp_path / "main-1.ledger"
    environment = {**os.environ, "PYTHONPATH": str(Path(snqd.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        yield process, path
        process.kill()


def test_it_is_held_while_its_process_lives_and_free_once_it_is_killed(
    running: tuple[subprocess.Popen[str], Path],
) -> None:
    process, path = running
    assert is_held(path)
    process.send_signal(signal.SIGSTOP)
    assert is_held(path)
    process.kill()
    process.wait()
    assert not is_held(path)


def test_what_a_killed_process_was_running_is_read_back(running: tuple[subprocess.Popen[str], Path]) -> None:
    process, path = running
    process.kill()
    process.wait()
    remains = read_ledger(path)
    assert LedgerContents(remains.owner, sorted(remains.started)) == LedgerContents("main-1", ["job-3", "x" * 64])


def test_what_a_living_process_runs_can_be_read(running: tuple[subprocess.Popen[str], Path]) -> None:
    assert sorted(read_ledger(running[1]).started) == ["job-3", "x" * 64]


def test_a_full_disk_refuses_a_ledger_at_once_and_not_at_its_first_job(small_disk: Path) -> None:
    path = small_disk / "main-1.ledger"
    with pytest.raises(StoreUnavailable, match=r"main-1\.ledger: No space left on device"):
        CrashLedger(path, "main-1", 100_000)
    assert list(small_disk.iterdir()) == []
    ledger = CrashLedger(path, "main-1", 50)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    for number in range(50):
        ledger.started(f"job-{number}")
    assert len(read_ledger(path).started) == 50
    ledger.close()
