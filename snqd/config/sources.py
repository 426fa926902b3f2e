"""Sources: the text of all configuration files, read once; the parent daemon hands its own to its children, so that a
file that is being edited never breaks a respawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from snqd.config.ini import Entry, tokenize
from snqd.core.errors import ConfigError


@attrs.frozen
class Sources:
    """What :func:`snqd.config.load.load` works on.

    :ivar path: the main file, absolute.
    :ivar files: text by absolute path, the main file first, then the files of ``[sites] dir`` by name.
    """

    path: Path
    files: Mapping[str, str]

    def to_json(self) -> str:
        """One JSON document, for :meth:`from_json`."""
        return json.dumps({"path": str(self.path), "files": dict(self.files)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Sources:
        """What :meth:`to_json` wrote.

        :raises ConfigError: if `text` is something else.
        """
        try:
            document = json.loads(text)
            path, files = document["path"], document["files"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigError(
                [f"these are no sources of a configuration ({error!r}): pass on Sources.to_json()"]
            ) from error
        if not (isinstance(path, str) and isinstance(files, dict) and path in files and _all_text(files)):
            raise ConfigError(["these are no sources of a configuration: pass on Sources.to_json()"])
        return cls(Path(path), files)


def read_sources(path: Path) -> Sources:
    """Read the main file and, where ``[sites] dir`` is set, every NAME.ini in it, sorted; hidden files are left out.

    :raises ConfigError: naming every file that is missing, unreadable or not UTF-8.
    """
    main = Path(os.path.abspath(path))
    files = _read_all([main], "check --config")
    entry = _sites_dir(str(main), files[str(main)])
    if entry:
        files |= _read_all(_site_files(main, entry), "correct or remove it")
    return Sources(main, files)


def _sites_dir(file: str, text: str) -> Entry | None:
    sections = tokenize(file, text, lambda line, message: None)  # load() complains
    for section in sections:
        if section.name == "sites":
            entry = section.entries.get("dir")
            return entry if entry and entry.value else None
    return None


def _site_files(main: Path, entry: Entry) -> list[Path]:
    folder = main.parent / entry.value
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".ini") and not name.startswith("."))
    except (OSError, ValueError) as error:
        problem = f"{folder} can't be listed ({_reason(error)}): create the folder or remove the key"
        raise ConfigError([f"{main}:{entry.line}: [sites] dir: {problem}"]) from error
    return [Path(os.path.abspath(folder / name)) for name in names]


def _read_all(paths: list[Path], remedy: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    problems: list[str] = []
    for path in paths:
        try:
            texts[str(path)] = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(f"{path}:{line}: is not UTF-8: convert the file")
        except (OSError, ValueError) as error:
            problems.append(f"{path}: can't be read ({_reason(error)}): {remedy}")
    if problems:
        raise ConfigError(problems)
    return texts


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _all_text(files: Mapping[object, object]) -> bool:
    return all(isinstance(name, str) and isinstance(text, str) for name, text in files.items())
