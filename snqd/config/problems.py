"""Problems: what is wrong with a configuration, collected so that one error tells everything at once."""

from __future__ import annotations

from collections.abc import Iterable

from snqd.config.ini import Section
from snqd.core.errors import ConfigError

MAX_SHOWN_CHARS = 60


class Problems:
    """Collects problems, each as ``FILE:LINE: [section] key: what is wrong and what to do``.

    :param files: in the order in which their problems are to be listed.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._rank = {file: rank for rank, file in enumerate(files)}
        self._found: list[tuple[int, int, str]] = []
        self._sections: set[tuple[str, str]] = set()

    def at_line(self, file: str, line: int, message: str) -> None:
        """Add what is wrong with a line that belongs to no section or key; line 0 stands for the whole file."""
        self._add(file, line, message)

    def at(self, section: Section, key: str, message: str) -> None:
        """Add what is wrong with `key` of `section`, or with the section itself where `key` is empty."""
        entry = section.entries.get(key)
        label = f"[{section.name}] {key}" if key else f"[{section.name}]"
        self._sections.add((section.file, section.name))
        self._add(section.file, entry.line if entry else section.line, f"{label}: {message}")

    def concern(self, section: Section) -> bool:
        """Whether anything is wrong with `section` so far, so that checks across its keys would only repeat it."""
        return (section.file, section.name) in self._sections

    def raise_if_any(self) -> None:
        """
        :raises ConfigError: listing every problem, by file and line.
        """
        if self._found:
            raise ConfigError([text for _, _, text in sorted(self._found, key=lambda found: found[:2])])

    def _add(self, file: str, line: int, message: str) -> None:
        place = f"{file}:{line}" if line else file
        self._found.append((self._rank.get(file, -1), line, _printable(f"{place}: {message}")))


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The one of `known` that `word` was probably meant to be, empty where none is near.

    :param likeness: from 0, where anything is near, to 1, where only the same word is.
    """
    from difflib import get_close_matches  # a child, which meets no mistakes, needs none of it

    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[near[0]] if near else ""


def did_you_mean(near: str) -> str:
    """The hint at `near`, to go between what is wrong and what to do; empty if `near` is."""
    return f" (did you mean {near}?)" if near else ""


def quoted(text: str) -> str:
    """`text` as a message quotes it: escaped where nothing can be seen of it, and cut where it is long."""
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "...")


def _printable(text: str) -> str:
    # Names stand in messages as they are written, so that they can be searched for; no control character reaches a log.
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
