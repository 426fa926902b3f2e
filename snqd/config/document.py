"""Document: the sections of all files, sorted by kind and known to exist; their keys are read by the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from snqd.config.ini import Section, tokenize
from snqd.config.key import SectionKind
from snqd.config.problems import Problems, did_you_mean, nearest, quoted
from snqd.config.schema import APP, GROUP, HANDLER, KINDS, SITE
from snqd.config.sources import Sources
from snqd.config.values import BadValue
from snqd.core.errors import BadName
from snqd.core.names import check_queue, check_site


@attrs.frozen
class Document:
    """The sections by kind and label; the label is empty for kinds without one."""

    main_file: str
    _sections: dict[str, dict[str, Section]] = attrs.field(factory=lambda: {kind: {} for kind in KINDS})

    def one(self, kind: SectionKind) -> Section:
        """The section of a kind without labels, an empty one where no file has it."""
        return self._sections[kind.name].get("") or Section(self.main_file, kind.name)

    def labelled(self, kind: SectionKind) -> Mapping[str, Section]:
        """The sections of `kind` by label, in the order of the files."""
        return self._sections[kind.name]

    def add(self, kind: SectionKind, label: str, section: Section, problems: Problems) -> None:
        """Take in `section`, unless an earlier one has its name."""
        first = self._sections[kind.name].setdefault(label, section)
        if first is not section:
            where = f"{first.file}:{first.line}"
            problems.at(section, "", f"is defined already, in {where}: remove one of the two")


def read_document(sources: Sources, problems: Problems) -> Document:
    """Sort out the sections of `sources`; the files of ``[sites] dir`` may have ``[site:NAME]`` only."""
    document = Document(str(sources.path))
    for file, text in sources.files.items():
        sections = tokenize(file, text, partial(problems.at_line, file))
        for section in sections:
            _place(document, section, problems)
        if file != document.main_file and not sections:
            problems.at_line(file, 0, "defines no site: add a [site:NAME] section or remove the file")
    return document


def read_values(kind: SectionKind, section: Section, problems: Problems) -> dict[str, Any]:
    """The values of all keys of `kind`, the default where a key is absent, empty or wrong."""
    values = dict(kind.defaults)
    for name in section.entries:
        key = kind.by_name.get(name)
        if key is not None:
            read_into(values, name, section, key.read, problems)
        elif not kind.open:
            problems.at(section, name, unknown_key(name, kind))
        elif name.lower() in kind.by_name:
            problems.at(section, name, f"unknown key: write {name.lower()}")
    return values


def read_into(
    values: dict[str, Any], name: str, section: Section, read: Callable[[str], Any], problems: Problems
) -> None:
    """Read the key `name` of `section` into `values`, unless it is empty or wrong."""
    text = section.entries[name].value
    if not text:
        return
    try:
        values[name] = read(text)
    except BadValue as error:
        problems.at(section, name, str(error))


def free_entries(kind: SectionKind, section: Section) -> dict[str, str]:
    """The keys of `section` that `kind` does not know itself, as text; empty ones count as absent."""
    return {name: entry.value for name, entry in section.entries.items() if entry.value and name not in kind.by_name}


def unknown_key(name: str, kind: SectionKind) -> str:
    """What is wrong with the key `name`, which `kind` does not have."""
    return f"unknown key{did_you_mean(nearest(name, kind.by_name))}: correct or remove it"


def _place(document: Document, section: Section, problems: Problems) -> None:
    name, colon, label = section.name.partition(":")
    kind = KINDS.get(name)
    if kind is None or bool(colon) != bool(kind.label):
        problems.at(section, "", f"unknown section{_near_section(name, colon, label)}: correct or remove it")
        return
    if section.file != document.main_file and kind is not SITE:
        problems.at(section, "", f"files of [sites] dir define sites only: move it to {document.main_file}")
        return
    try:
        _check_label(kind, label)
    except BadName as error:
        problems.at(section, "", f"{error}; rename it")
        return
    document.add(kind, label, section, problems)


def _check_label(kind: SectionKind, label: str) -> None:
    if kind is SITE:
        check_site(label)
    elif kind is HANDLER:
        check_queue(label)
    elif kind is GROUP:
        _check_group(label)
    elif kind is APP and (not label or "." in label):
        # A site's app.NAME.KEY must tell where NAME ends.
        raise BadName(f"{quoted(label)} is no name of an app: use at least one character, and no dot")


def _check_group(label: str) -> None:
    try:
        check_queue(label)
    except BadName as error:
        raise BadName(f"{quoted(label)} is no group name: groups are named by the rules for queues") from error


def _near_section(name: str, colon: str, label: str) -> str:
    if name in KINDS:
        return did_you_mean(f"[{KINDS[name].title}]")
    near = nearest(name, (kind.name for kind in KINDS.values() if bool(kind.label) == bool(colon)))
    return did_you_mean(f"[{near}{colon}{label}]" if near else "")
