"""The kernel's word for files that change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from snqd.daemon.folder_watch import FolderWatch


class Watched:
    """:ivar changed: fires at the next change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.changed: Deferred[None] = Deferred()
        self.watch = FolderWatch(reactor, self._changed)
        self.watch.startService()
        self.watch.watch([folder])

    def _changed(self) -> None:
        self.count += 1
        if not self.changed.called:
            self.changed.callback(None)

    async def told(self) -> None:
        """Wait for the next change."""
        await self.changed.addTimeout(10, reactor)
        await deferLater(reactor, 0.05)  # for what else comes of the same change
        self.changed = Deferred()


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    made = Watched(tmp_path)
    yield made
    made.watch.stopService()


@ensureDeferred
async def test_it_tells_when_a_file_is_written_moved_removed_or_touched(watched: Watched) -> None:
    assert watched.watch.works
    file = watched.folder / "a.ini"
    file.write_text("[site:a]\n")
    await watched.told()
    os.utime(file)
    await watched.told()
    file.rename(watched.folder / "b.ini")
    await watched.told()
    (watched.folder / "b.ini").unlink()
    await watched.told()


@ensureDeferred
async def test_other_files_are_nobodys_business(watched: Watched) -> None:
    (watched.folder / "queue.db-wal").write_text("x")
    (watched.folder / "a.ini").write_text("[site:a]\n")
    await watched.told()
    before = watched.count
    (watched.folder / "notes.txt").write_text("x")
    (watched.folder / "a.ini").unlink()
    await watched.told()
    assert watched.count == before + 1


@ensureDeferred
async def test_it_goes_over_to_other_folders(watched: Watched) -> None:
    other = watched.folder / "other"
    other.mkdir()
    watched.watch.watch([watched.folder, other])
    (other / "a.ini").write_text("[site:a]\n")
    await watched.told()


def test_a_folder_that_is_missing_is_not_watched(watched: Watched) -> None:
    watched.watch.watch([watched.folder / "nowhere"])
    assert not watched.watch.works
    watched.watch.watch([watched.folder])
    assert watched.watch.works
