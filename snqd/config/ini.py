"""INI text to sections that remember their lines; what the lines mean is :mod:`snqd.config.schema`'s."""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_HEADER = re.compile(r"\[([^\[\]]+)\]")

#: Takes a line number, from 1, and what is wrong with that line.
Complain = Callable[[int, str], None]


@attrs.frozen
class Entry:
    """One key's value, its lines stripped and joined by line feeds, and the number of its first line."""

    value: str
    line: int


@attrs.frozen
class Section:
    """One section.

    :ivar name: what stands between the brackets.
    :ivar line: of its header; 0 for a section that no file has.
    :ivar entries: by key, case kept, in the order of the file.
    """

    file: str
    name: str
    line: int = 0
    entries: dict[str, Entry] = attrs.field(factory=dict)


def tokenize(file: str, text: str, complain: Complain) -> list[Section]:
    """The sections of `text`.

    ``[section]`` and ``key = value`` begin in the first column; indented lines continue the value above them, until an
    empty line. A line whose first visible character is ``#`` or ``;`` is a comment; there are none behind a value.

    :param file: kept in the sections.
    :param complain: told of every line that is wrong; it is left out and the rest is read.
    """
    reader = _Reader(file, complain)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        reader.read(number, line)
    return list(reader.sections.values())


class _Reader:
    """Where the reading of one file stands."""

    def __init__(self, file: str, complain: Complain) -> None:
        self.sections: dict[str, Section] = {}
        self._file = file
        self._complain = complain
        self._section: Section | None = None
        self._key: str | None = None

    def read(self, number: int, line: str) -> None:
        stripped = line.strip()
        if not stripped:
            self._key = None
        elif stripped[0] in "#;":
            return
        elif _FORBIDDEN.search(line):
            self._complain(number, "has a control character or half a surrogate pair: remove it")
        elif line[0].isspace():
            self._continue(number, stripped)
        elif line[0] == "[":
            self._open(number, stripped)
        else:
            self._enter(number, stripped)

    def _open(self, number: int, header: str) -> None:
        self._key = None
        match = _HEADER.fullmatch(header)
        name = match[1].strip() if match else ""
        if not name:
            self._complain(number, "is no section header: write [section], and nothing behind it")
        elif name in self.sections:
            first = self.sections[name].line
            self._complain(number, f"[{name}] is there already, in line {first}: put its keys together in one section")
        # A header that was refused still gets its keys read, for their own mistakes, into a section that nobody sees.
        self._section = Section(self._file, name, number)
        if name:
            self.sections.setdefault(name, self._section)

    def _enter(self, number: int, line: str) -> None:
        key, equals, value = line.partition("=")
        self._key = None
        if not equals or not (key := key.strip()):
            self._complain(number, "is no setting: write key = value, or indent a line that continues a value")
        elif self._section is None:
            self._complain(number, f"{key} stands before any section: put a [section] line above it")
        else:
            self._key = key
            self._keep(self._section, key, Entry(value.strip(), number))

    def _keep(self, section: Section, key: str, entry: Entry) -> None:
        first = section.entries.setdefault(key, entry)
        if first is not entry:
            self._complain(
                entry.line, f"[{section.name}] {key}: is set already, in line {first.line}: remove one of the two"
            )

    def _continue(self, number: int, text: str) -> None:
        if self._section is None or self._key is None:
            self._complain(number, "is indented but continues no value: begin sections and keys in the first column")
            return
        entry = self._section.entries[self._key]
        self._section.entries[self._key] = attrs.evolve(entry, value=f"{entry.value}\n{text}".strip())
