"""The folder of one daemon, and its lock."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from snqd.core.errors import AlreadyRunning
from snqd.daemon.state_dir import DaemonLock, StateDirUnusable, prepare


def test_the_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "state")
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "state" / "children").stat().st_mode) == 0o700
    prepare(tmp_path / "a" / "state")


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateDirUnusable, match=rf"{tmp_path}/file/state can't be used \(Not a directory\)"):
        prepare(tmp_path / "file" / "state")


def test_a_folder_that_is_read_only_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StateDirUnusable, match="is not writable"):
        prepare(tmp_path)


def test_the_lock_keeps_others_out_while_it_is_held(tmp_path: Path) -> None:
    first, second = DaemonLock(tmp_path), DaemonLock(tmp_path)
    first.take()
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}\) works on state_dir {tmp_path}"):
        second.check()
    first.release()
    second.check()
    first.take()
    first.release()


def test_a_lock_file_that_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").write_text("999999999\n")
    lock = DaemonLock(tmp_path)
    lock.take()
    assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StateDirUnusable, match="No space left on device"):
        DaemonLock(tmp_path).take()
