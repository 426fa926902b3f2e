"""SourceReader: reads the configuration files, and afterwards only those that changed, which their stamps tell.

A look at ten thousand files that did not change costs 40 ms, so it belongs into a thread, and is not for every second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from snqd.config.ini import Entry, Section, tokenize
from snqd.config.site_table import SiteTable, TableUnreadable
from snqd.config.sources import Sources
from snqd.core.clocks import unix_time
from snqd.core.errors import ConfigError

UNSETTLED_NS = 20_000_000
"""Nanoseconds: a file written so shortly before may be written again without a new time of modification."""

Stamp = tuple[int, int, int]
"""Time of modification in ns, size in bytes, inode."""


@attrs.frozen
class SourceScan:
    """What a look at the files found.

    :ivar sources: as they are now; but a main file that says more than other sites is as it was.
    :ivar main_differs: whether it does say more.
    :ivar problems: one line for each file that can't be read; it counts as it was.
    """

    sources: Sources
    main_differs: bool = False
    problems: tuple[str, ...] = ()


class SourceReader:
    """Reads one configuration again and again, in one thread at a time.

    :param path: the main file.
    :param table: opens the table at a database's URL.
    """

    def __init__(self, path: Path, table: Callable[[str], SiteTable] = SiteTable) -> None:
        self._main = Path(os.path.abspath(path))
        self._open_table = table
        self._stamps: dict[str, Stamp] = {}
        self._table: SiteTable | None = None
        self._seen: dict[str, str] = {}
        self._places: _Places | None = None

    def read(self) -> Sources:
        """Read everything, changed or not.

        :raises ConfigError: naming every file that is missing, unreadable or not UTF-8.
        """
        self._stamps = {}
        problems: list[str] = []
        text = self._text(self._main, "check --config", problems)
        _raise(problems)
        places = self._places_of(text)
        files = {str(self._main): text}
        for path, stamp in _listed(places.folder()):
            files[path] = self._text(Path(path), "correct or remove it", problems, stamp)
        _raise(problems)
        return Sources(self._main, files | self._rows(places, afresh=True))

    def look(self, old: Sources, files: bool = True, afresh: bool = False) -> SourceScan:
        """See what changed since `old` was read.

        :param files: look at the files; else at the table only.
        :param afresh: read the table whether it seems to have changed or not.
        :returns: with `old` itself where nothing changed.
        :raises ConfigError: if the folder or the table can't be read as a whole.
        """
        look = self._look_at_all(old, afresh) if files else self._look_at_table(old, afresh)
        return look if look.sources is old or look.sources.changes_since(old) else attrs.evolve(look, sources=old)

    def _look_at_table(self, old: Sources, afresh: bool) -> SourceScan:
        before = self._seen
        rows = self._rows(self._places_of(old.main), afresh)
        if rows is before:
            return SourceScan(old)
        files = {name: text for name, text in old.files.items() if name.startswith("/")}
        return SourceScan(Sources(self._main, files | rows))

    def _look_at_all(self, old: Sources, afresh: bool) -> SourceScan:
        problems: list[str] = []
        main, differs = self._look_at_main(old, problems)
        places = self._places_of(main)
        files = {str(self._main): main}
        for path, stamp in _listed(places.folder()):
            text = old.files.get(path)
            if text is None or self._stamps.get(path) != stamp:
                text = self._reread(path, stamp, text, problems)
            if text is not None:
                files[path] = text
        files |= self._rows(places, afresh)
        return SourceScan(Sources(self._main, files), differs, tuple(problems))

    def forget(self) -> None:
        """What was read last is not used: read everything again at the next look."""
        self._stamps = {}
        self._seen = {}

    def folders(self, sources: Sources) -> list[Path]:
        """The folders to watch: the main file's, and ``[sites] dir``."""
        folder = self._places_of(sources.main).folder_path()
        return [self._main.parent] if folder is None else [self._main.parent, folder]

    def has_table(self, sources: Sources) -> bool:
        """Whether ``[sites] database`` is set."""
        return self._places_of(sources.main).entry("database") is not None

    def _places_of(self, text: str) -> _Places:
        # Asked several times a second for the same text, which may define thousands of sites.
        places = self._places
        if places is None or places.text != text:
            places = self._places = _Places(self._main, text)
        return places

    def _look_at_main(self, old: Sources, problems: list[str]) -> tuple[str, bool]:
        path = str(self._main)
        text = self._text_if_changed(path, old.main, problems)
        if text is None or text == old.main:
            return old.main, False
        if not _same_but_sites(old.main, text):
            self._stamps.pop(path, None)
            return old.main, True
        return text, False

    def _text_if_changed(self, path: str, old: str, problems: list[str]) -> str | None:
        try:
            stamp = _stamp(os.stat(path))
        except OSError as error:
            problems.append(f"{path}: can't be read ({_reason(error)}): put it back")
            return None
        return old if self._stamps.get(path) == stamp else self._reread(path, stamp, old, problems)

    def _reread(self, path: str, stamp: Stamp, old: str | None, problems: list[str]) -> str | None:
        count = len(problems)
        text = self._text(Path(path), "correct or remove it", problems, stamp)
        if len(problems) == count:
            return text
        if not os.path.exists(path):
            problems.pop()  # it went meanwhile, or is a link to nothing, which some editors use as a lock
            return None
        self._stamps.pop(path, None)
        return old

    def _text(self, path: Path, remedy: str, problems: list[str], stamp: Stamp | None = None) -> str:
        name = str(path)
        try:
            seen = stamp or _stamp(os.stat(path))
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(f"{name}:{line}: is not UTF-8: convert the file")
        except (OSError, ValueError) as error:
            problems.append(f"{name}: can't be read ({_reason(error)}): {remedy}")
        else:
            if unix_time() * 1e9 - seen[0] > UNSETTLED_NS:
                self._stamps[name] = seen
            return text
        return ""

    def _rows(self, places: _Places, afresh: bool) -> dict[str, str]:
        entry = places.entry("database")
        if entry is None:
            self._table = None
            return {}
        url = places.database_url(entry)
        try:
            if self._table is None or self._table.url != url:
                self._table = self._open_table(url)
            self._seen = self._table.read() if afresh else self._table.look()
        except TableUnreadable as error:
            raise places.refuse("database", entry, str(error)) from error
        return self._seen


def read_sources(path: Path) -> Sources:
    """Read the main file and, where ``[sites] dir`` and ``database`` are set, every site that is defined there.

    :raises ConfigError: naming every file that is missing, unreadable or not UTF-8.
    """
    return SourceReader(path).read()


class _Places:
    """Where the main file says that sites are defined."""

    def __init__(self, main: Path, text: str) -> None:
        self.text = text
        self._main = main
        sections = {section.name: section for section in _sections(str(main), text)}
        self._sites = sections.get("sites")

    def entry(self, key: str) -> Entry | None:
        """What ``[sites]`` says, None where that is nothing."""
        entry = self._sites.entries.get(key) if self._sites else None
        return entry if entry and entry.value else None

    def folder_path(self) -> Path | None:
        """``[sites] dir``."""
        entry = self.entry("dir")
        return Path(os.path.abspath(self._main.parent / entry.value)) if entry else None

    def folder(self) -> list[os.DirEntry[str]]:
        """The files in ``[sites] dir``, by name; hidden ones are left out."""
        entry = self.entry("dir")
        if entry is None:
            return []
        try:
            path = self.folder_path()
            with os.scandir(path) as found:
                files = [each for each in found if each.name.endswith(".ini") and not each.name.startswith(".")]
        except (OSError, ValueError) as error:
            raise self.refuse(
                "dir", entry, f"{path} can't be listed ({_reason(error)}): create the folder or remove the key"
            ) from error
        return sorted(files, key=lambda file: file.name)

    def database_url(self, entry: Entry) -> str:
        """``[sites] database``; an SQLite file's path starts at the main file's folder."""
        head, slashes, path = entry.value.partition(":///")
        if slashes and head.partition("+")[0] == "sqlite":
            return f"{head}{slashes}{os.path.normpath(os.path.join(self._main.parent, path))}"
        return entry.value

    def refuse(self, key: str, entry: Entry, problem: str) -> ConfigError:
        """The error that says what is wrong with `key`."""
        return ConfigError([f"{self._main}:{entry.line}: [sites] {key}: {problem}"])


def _listed(files: list[os.DirEntry[str]]) -> Iterator[tuple[str, Stamp]]:
    for file in files:
        try:
            yield file.path, _stamp(file.stat())
        except OSError:
            yield file.path, (0, 0, 0)  # reading it tells why


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _same_but_sites(old: str, new: str) -> bool:
    """Whether two texts of a main file differ in ``[site:NAME]`` only; one with mistakes does not count."""
    complaints: list[int] = []
    sections = [
        {section.name: _values(section) for section in _sections("", text, complaints) if not _is_site(section)}
        for text in (old, new)
    ]
    return not complaints and sections[0] == sections[1]


def _sections(file: str, text: str, complaints: list[int] | None = None) -> list[Section]:
    # load() tells what is wrong.
    return tokenize(file, text, lambda line, message: None if complaints is None else complaints.append(line))


def _values(section: Section) -> dict[str, str]:
    return {name: entry.value for name, entry in section.entries.items() if entry.value}


def _is_site(section: Section) -> bool:
    return section.name.startswith("site:")


def _raise(problems: list[str]) -> None:
    if problems:
        raise ConfigError(problems)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
