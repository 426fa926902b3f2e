"""Reading configuration files again and again, only those that changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from snqd.config import source_reader
from snqd.config.site_table import TableUnreadable
from snqd.config.source_reader import SourceReader
from snqd.config.sources import Sources
from snqd.core.errors import ConfigError

LONG_AGO_NS = 1_700_000_000_000_000_000


class Folder:
    """A configuration with a folder of sites; every file it writes is old enough to be trusted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.main = path / "snq.ini"
        self._ticks = 0
        (path / "d").mkdir()
        self.write("snq.ini", "[snqd]\nid = t\n[sites]\ndir = d\n[site:home]\n")
        self.write("d/a.ini", "[site:alpha]\n")
        self.write("d/b.ini", "[site:beta]\n")

    def write(self, name: str, text: str | bytes) -> str:
        file = self.path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self._ticks += 1
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS + self._ticks))
        return str(file)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    names: list[str] = []
    read_bytes = Path.read_bytes

    def read(self: Path) -> bytes:
        names.append(self.name)
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", read)
    return names


def test_what_did_not_change_is_not_read_again(folder: Folder, reads: list[str]) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    assert reads == ["snq.ini", "a.ini", "b.ini"]
    look = reader.look(sources)
    assert look.sources is sources
    assert len(reads) == 3


def test_files_that_changed_came_or_went_are_noticed(folder: Folder, reads: list[str]) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    reads.clear()
    changed = folder.write("d/a.ini", "[site:alpha]\nname = A\n")
    added = folder.write("d/c.ini", "[site:gamma]\n")
    (folder.path / "d/b.ini").unlink()
    changes = reader.look(sources).sources.changes_since(sources)
    assert dict(changes.files) == {changed: "[site:alpha]\nname = A\n", added: "[site:gamma]\n"}
    assert changes.gone == (f"{folder.path}/d/b.ini",)
    assert sorted(reads) == ["a.ini", "c.ini"]


def test_what_was_read_and_not_used_is_read_again_once_that_is_said(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    changed = folder.write("d/a.ini", "[site:alpha]\nname = A\n")
    reader.read()
    assert reader.look(sources).sources is sources
    reader.forget()
    assert list(reader.look(sources).sources.changes_since(sources).files) == [changed]


def test_a_file_that_was_just_written_is_not_trusted_by_its_time(tmp_path: Path, reads: list[str]) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "d/a.ini").write_text("[site:alpha]\nname = A\n")
    os.utime(tmp_path / "d/a.ini")
    reader = SourceReader(folder.main)
    sources = reader.read()
    stamp = (tmp_path / "d/a.ini").stat()
    (tmp_path / "d/a.ini").write_text("[site:alpha]\nname = B\n")
    os.utime(tmp_path / "d/a.ini", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert "name = B" in reader.look(sources).sources.files[f"{tmp_path}/d/a.ini"]


def test_other_sites_in_the_main_file_are_taken(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    folder.write("snq.ini", "[snqd]\nid = t\n\n[sites]\ndir = d\n[site:home]\nname = H\n[site:office]\n")
    look = reader.look(sources)
    assert "site:office" in look.sources.main
    assert not look.main_differs


@pytest.mark.parametrize(
    "text",
    [
        "[snqd]\nid = t\nthreads = 3\n[sites]\ndir = d\n[site:office]\n",
        "[snqd]\nid = t\n[sites]\ndir = d\n[site:office]\n[handl",
        "[snqd]\nid = t\n[sites]\ndir = elsewhere\n",
    ],
)
def test_a_main_file_that_says_more_waits_for_an_update(folder: Folder, text: str) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    folder.write("snq.ini", text)
    added = folder.write("d/c.ini", "[site:gamma]\n")
    for _ in range(2):
        look = reader.look(sources)
        assert look.main_differs
        assert look.sources.main == sources.main
        assert added in look.sources.files


def test_a_file_that_can_not_be_read_counts_as_it_was_and_is_tried_again(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    broken = folder.write("d/a.ini", b"[site:alpha]\nname = \xff\n")
    for _ in range(2):
        look = reader.look(sources)
        assert look.problems == (f"{broken}:2: is not UTF-8: convert the file",)
        assert look.sources is sources
    folder.write("d/a.ini", "[site:alpha]\nname = mended\n")
    assert "mended" in reader.look(sources).sources.files[broken]


def test_a_link_to_nothing_is_no_site(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    (folder.path / "d/lock.ini").symlink_to("user@host.1234")
    look = reader.look(sources)
    assert (look.sources, look.problems) == (sources, ())


def test_a_main_file_that_is_missing_counts_as_it_was(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    folder.main.unlink()
    look = reader.look(sources)
    assert look.sources is sources
    assert look.problems == (f"{folder.main}: can't be read (No such file or directory): put it back",)


def test_a_folder_that_is_missing_fails_the_look(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    (folder.path / "d").rename(folder.path / "e")
    with pytest.raises(ConfigError, match="can't be listed"):
        reader.look(sources)


def test_the_folders_to_watch_are_the_main_files_and_that_of_the_sites(folder: Folder) -> None:
    reader = SourceReader(folder.main)
    assert reader.folders(reader.read()) == [folder.path, folder.path / "d"]


def test_where_the_sites_are_is_not_parsed_anew_at_each_look(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SourceReader(folder.main)
    sources = reader.read()
    monkeypatch.setattr(source_reader, "tokenize", None)
    assert reader.has_table(sources) is False
    assert reader.look(sources).sources is sources
    assert reader.folders(sources) == [folder.path, folder.path / "d"]


class Table:
    """A table in memory."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows = {"db#delta": "[site:delta]\n"}
        self.reads = 0
        self.broken = False

    def read(self) -> dict[str, str]:
        self.reads += 1
        if self.broken:
            raise TableUnreadable("the table is away")
        return dict(self.rows)

    def look(self) -> dict[str, str]:
        return dict(self.rows)


def with_table(folder: Folder) -> tuple[SourceReader, list[Table], Sources]:
    folder.write("snq.ini", "[snqd]\nid = t\n[sites]\ndir = d\ndatabase = sqlite:///farm.db\n")
    tables: list[Table] = []

    def make(url: str) -> Table:
        tables.append(Table(url))
        return tables[-1]

    opened: Callable[[str], Table] = make
    reader = SourceReader(folder.main, opened)  # type: ignore[arg-type]
    return reader, tables, reader.read()


def test_rows_of_the_table_are_files_too_and_its_path_starts_at_the_main_files_folder(folder: Folder) -> None:
    reader, (table,), sources = with_table(folder)
    assert table.url == f"sqlite:///{folder.path}/farm.db"
    assert sources.files["db#delta"] == "[site:delta]\n"
    assert reader.has_table(sources)


def test_a_look_at_the_table_alone_leaves_the_files(folder: Folder) -> None:
    reader, (table,), sources = with_table(folder)
    folder.write("d/c.ini", "[site:gamma]\n")
    assert reader.look(sources, files=False).sources is sources
    table.rows["db#delta"] = "[site:delta]\nname = D\n"
    changes = reader.look(sources, files=False).sources.changes_since(sources)
    assert dict(changes.files) == {"db#delta": "[site:delta]\nname = D\n"}


def test_a_look_reads_the_table_afresh_if_it_is_told_to(folder: Folder) -> None:
    reader, (table,), sources = with_table(folder)
    reader.look(sources)
    assert table.reads == 1
    reader.look(sources, afresh=True)
    assert table.reads == 2


def test_a_table_that_can_not_be_read_is_told_with_the_line_that_names_it(folder: Folder) -> None:
    reader, (table,), _ = with_table(folder)
    table.broken = True
    with pytest.raises(ConfigError) as caught:
        reader.read()
    assert caught.value.problems == [f"{folder.main}:5: [sites] database: the table is away"]
