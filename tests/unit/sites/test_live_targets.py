"""Where jobs may go, as the configuration changes under a program that enqueues."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from threading import Thread

import pytest
from twisted.internet.task import Clock

from snqd.config.source_reader import SourceReader
from snqd.core.errors import NoHandler, UnknownSite
from snqd.core.job import Job
from snqd.sites.live_targets import LOOK_EVERY, SHARE, SHARE_OF_MISSES, LiveTargets

TEXT = "[handlers]\nmail = exec: true\n[sites]\ndir = d\n"


class Files:
    """A configuration with a folder of sites, and what a program knows of it."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "snq.ini"
        self.folder = folder / "d"
        self.folder.mkdir()
        self.main.write_text(TEXT)
        self.site("alpha")
        self.clock = Clock()
        self.targets = self.open()

    def open(self) -> LiveTargets:
        return LiveTargets(self.main, self.clock.seconds)

    def site(self, name: str, more: str = "") -> Path:
        path = self.folder / f"{name}.ini"
        path.write_text(f"[site:{name}]\n{more}")
        return path

    def known(self, site: str, queue: str = "mail") -> bool:
        try:
            self.targets.check([Job("1", site, queue, b"null", created=0.0)])
        except (UnknownSite, NoHandler):
            return False
        return True


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def slow(files: Files, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Each look takes a second."""
    look = SourceReader.look

    def slowly(*arguments: object, **keywords: object) -> object:
        files.clock.advance(1)
        return look(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(SourceReader, "look", slowly)
    return files


def test_a_new_site_is_known_after_a_look_for_it(files: Files) -> None:
    files.site("beta")
    assert not files.known("beta")
    files.targets.look(missed=True)
    assert files.known("beta")
    assert files.known("alpha")


def test_a_removed_site_is_unknown_after_the_look_that_is_due(files: Files) -> None:
    path = files.site("beta")
    files.targets.look(missed=True)
    path.unlink()
    files.clock.advance(LOOK_EVERY - 0.1)
    assert not files.targets.due
    files.clock.advance(0.1)
    assert files.targets.due
    files.targets.look(missed=False)
    assert not files.known("beta")
    assert not files.targets.due


def test_a_queue_that_is_switched_off_for_a_site_is_refused(files: Files) -> None:
    files.site("alpha", "handlers.mail = off\n")
    files.targets.look(missed=True)
    with pytest.raises(NoHandler, match="switched off"):
        files.targets.check([Job("1", "alpha", "mail", b"null", created=0.0)])


def test_looks_take_little_of_the_time(slow: Files) -> None:
    slow.targets.look(missed=True)
    slow.site("beta")
    slow.targets.look(missed=True)
    assert not slow.known("beta")
    slow.clock.advance(SHARE_OF_MISSES)
    assert not slow.targets.due
    slow.targets.look(missed=True)
    assert slow.known("beta")
    slow.clock.advance(SHARE - 1)
    assert not slow.targets.due
    slow.clock.advance(1)
    assert slow.targets.due


def test_threads_that_miss_a_site_at_once_share_a_look(slow: Files) -> None:
    slow.site("beta")
    before = slow.clock.seconds()
    threads = [Thread(target=slow.targets.look, args=(True,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slow.known("beta")
    assert slow.clock.seconds() - before == 1


def test_new_handlers_are_known_and_wrong_ones_leave_the_old_in_force(files: Files) -> None:
    files.main.write_text(TEXT.replace("mail = exec: true", "feed = nope"))
    files.site("beta")
    files.targets.look(missed=True)
    assert files.known("alpha")
    assert files.known("beta")
    with pytest.raises(NoHandler, match=r"the files have changed, but do not hold: .*\[handlers\] feed"):
        files.targets.check([Job("1", "alpha", "feed", b"null", created=0.0)])
    files.main.write_text(TEXT.replace("mail = exec: true", "feed = exec: true"))
    files.targets.look(missed=True)
    assert files.known("beta", "feed")
    assert not files.known("beta", "mail")


def test_a_site_with_mistakes_stays_as_it_was_and_the_others_change(files: Files) -> None:
    files.site("alpha", "wieght = 2\n")
    files.site("beta")
    files.targets.look(missed=True)
    assert files.known("alpha")
    assert files.known("beta")
    wrong = files.site("gamma", "wieght = 2\n")
    os.utime(wrong, (1e9, 1e9))
    files.targets.look(missed=True)
    assert not files.known("gamma")
    files.site("gamma")
    files.targets.look(missed=True)
    assert files.known("gamma")


def test_a_folder_that_is_away_leaves_all_as_it_was(files: Files) -> None:
    files.folder.rename(files.folder.with_name("e"))
    files.targets.look(missed=True)
    assert files.known("alpha")
    with pytest.raises(UnknownSite, match="can't be listed"):
        files.targets.check([Job("1", "beta", "mail", b"null", created=0.0)])


def test_a_row_of_the_table_is_found_however_fresh_the_last_look_was(files: Files) -> None:
    with sqlite3.connect(files.main.parent / "farm.db") as database:
        database.execute("CREATE TABLE status_network (nickname TEXT, hostname TEXT)")
    files.main.write_text(TEXT + "database = sqlite:///farm.db\n")
    files.targets = files.open()
    for name in ("beta", "gamma"):
        with sqlite3.connect(files.main.parent / "farm.db") as database:
            database.execute("INSERT INTO status_network VALUES (?, ?)", (name, f"{name}.example"))
        assert not files.known(name)
        files.targets.look(missed=True)
        assert files.known(name)


def test_a_fork_looks_through_a_reader_of_its_own(files: Files) -> None:
    files.targets.begin_in_fork()
    files.site("beta")
    files.targets.look(missed=True)
    assert files.known("beta")
