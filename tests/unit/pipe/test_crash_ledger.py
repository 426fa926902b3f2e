"""Which jobs a process was running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snqd.core.errors import StoreUnavailable
from snqd.pipe.crash_ledger import HEADER_BYTES, SLOT_BYTES, CrashLedger, LedgerContents, is_held, read_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "child.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[CrashLedger]:
    made = CrashLedger(path, "main-1", 8)
    yield made
    if path.exists():
        made.close()


def test_what_was_started_and_has_not_ended_is_read_back(ledger: CrashLedger, path: Path) -> None:
    ledger.started("job-1")
    slot = ledger.started("job-2")
    ledger.started("job-3")
    ledger.ended(slot)
    remains = read_ledger(path)
    assert remains.owner == "main-1"
    assert sorted(remains.started) == ["job-1", "job-3"]


def test_a_new_ledger_tells_its_owner_and_no_job(ledger: CrashLedger, path: Path) -> None:
    assert read_ledger(path) == LedgerContents("main-1", [])


def test_an_id_of_64_characters_leaves_its_neighbours_alone(ledger: CrashLedger, path: Path) -> None:
    ids = [f"{n}{'x' * 63}" for n in range(8)]
    for job_id in ids:
        ledger.started(job_id)
    assert sorted(read_ledger(path).started) == ids


def test_a_short_id_in_the_slot_of_a_long_one_is_itself(ledger: CrashLedger, path: Path) -> None:
    for slot in [ledger.started("x" * 64) for _ in range(8)]:
        ledger.ended(slot)
    ledger.started("y")
    assert read_ledger(path).started == ["y"]


def test_all_slots_can_be_used_again_and_again(ledger: CrashLedger, path: Path) -> None:
    for turn in range(50):
        slots = [ledger.started(f"{turn}-{n}") for n in range(8)]
        assert len(read_ledger(path).started) == 8
        for slot in slots:
            ledger.ended(slot)
    assert read_ledger(path).started == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True), st.integers(0, 7))))
def test_after_any_steps_the_file_tells_what_runs(tmp_path: Path, steps: list[str | int]) -> None:
    path = tmp_path / f"{os.urandom(8).hex()}.ledger"
    ledger = CrashLedger(path, "main-1", 8)
    running: list[tuple[int, str]] = []
    for step in steps:
        if isinstance(step, str) and len(running) < 8:
            running.append((ledger.started(step), step))
        elif isinstance(step, int) and step < len(running):
            ledger.ended(running.pop(step)[0])
    assert sorted(read_ledger(path).started) == sorted(job_id for _, job_id in running)
    ledger.close()


def test_its_blocks_are_allocated_before_the_first_job_and_it_is_its_owners_alone(
    ledger: CrashLedger, path: Path
) -> None:
    found = path.stat()
    assert found.st_size == HEADER_BYTES + 8 * SLOT_BYTES
    assert found.st_blocks * 512 >= found.st_size
    assert found.st_mode & 0o077 == 0


def test_it_is_held_while_its_process_has_it(ledger: CrashLedger, path: Path) -> None:
    assert is_held(path)
    left_behind = path.with_name("copy")
    left_behind.write_bytes(path.read_bytes())
    assert not is_held(left_behind)


def test_looking_whether_it_is_held_does_not_hold_it(path: Path) -> None:
    path.write_bytes(b"\6main-1")
    assert [is_held(path), is_held(path)] == [False, False]


def test_a_closed_ledger_leaves_nothing_behind(path: Path) -> None:
    ledger = CrashLedger(path, "main-1", 8)
    ledger.started("job-1")
    ledger.close()
    assert list(path.parent.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        read_ledger(path)
    with pytest.raises(FileNotFoundError):
        is_held(path)


def test_it_replaces_what_a_dead_process_left_under_its_name(path: Path) -> None:
    path.write_bytes(b"\4dead" + bytes(1000))
    ledger = CrashLedger(path, "main-2", 8)
    assert read_ledger(path) == LedgerContents("main-2", [])
    ledger.close()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"missing/child\.ledger: No such file or directory"):
        CrashLedger(tmp_path / "missing" / "child.ledger", "main-1", 8)


def test_where_it_can_not_be_made_nothing_is_left_and_a_later_try_succeeds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    open_before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreUnavailable, match=r"child\.ledger: No space left on device"):
            CrashLedger(path, "main-1", 8)
    assert list(path.parent.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == open_before
    CrashLedger(path, "main-1", 8).close()
