"""Sources: the text of all configuration files, read once; the parent daemon hands its own to its children, so that a
file that is being edited never breaks a respawn.

A row of a ``status_network`` table counts as a file (:mod:`snqd.config.site_table`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs

from snqd.core.errors import ConfigError


@attrs.frozen
class SourceChanges:
    """What happened to some sources, to be told to who has the old ones.

    :ivar files: text by name of those that are new or say something else.
    :ivar gone: those that are no more.
    """

    files: Mapping[str, str] = attrs.field(factory=dict)
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.gone)

    def size_chars(self) -> int:
        """How much there is to parse."""
        return sum(map(len, self.files.values()))

    def to_json(self) -> dict[str, Any]:
        """For :meth:`from_json`."""
        return {"files": dict(self.files), "gone": list(self.gone)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SourceChanges:
        """What :meth:`to_json` made."""
        return cls(document["files"], tuple(document["gone"]))


@attrs.frozen
class Sources:
    """What :func:`snqd.config.load.load` works on.

    :ivar path: the main file, absolute.
    :ivar files: text by absolute path, the main file first, then the files of ``[sites] dir`` by name.
    """

    path: Path
    files: Mapping[str, str]

    @property
    def main(self) -> str:
        """The text of the main file."""
        return self.files[str(self.path)]

    @cached_property
    def digest(self) -> str:
        """The same for the same names and texts, whatever their order; made when it is first asked for."""
        return sha256(json.dumps(dict(self.files), sort_keys=True).encode()).hexdigest()

    def changes_since(self, old: Sources) -> SourceChanges:
        """What is different from `old`."""
        files = {name: text for name, text in self.files.items() if old.files.get(name) != text}
        return SourceChanges(files, tuple(name for name in old.files if name not in self.files))

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


def _all_text(files: Mapping[object, object]) -> bool:
    return all(isinstance(name, str) and isinstance(text, str) for name, text in files.items())
