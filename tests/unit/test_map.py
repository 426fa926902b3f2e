"""The map in snqd/__init__.py names what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "snqd"

# `core/`, `stores/sqlite/`, `tap.py`, `snqd/core/job.py`: a word with a slash behind it, or a Python file.
_PLACE = re.compile(r"(?<![\w./-])((?:\w+/)*\w+(?:/|\.py))(?![\w/])")


def places(text: str) -> list[str]:
    """The files and folders that `text` names, relative to the package."""
    return [place.removeprefix("snqd/") for place in _PLACE.findall(text)]


def the_map() -> str:
    return ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())) or ""


def test_the_map_names_only_what_exists() -> None:
    missing = [place for place in places(the_map()) if not (PACKAGE / place).exists()]
    assert not missing, f"snqd/__init__.py names what is not there: {missing}"


def test_the_map_names_every_room() -> None:
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    named = {f"{place.split('/')[0]}/" for place in places(the_map()) if "/" in place}
    assert rooms <= named, f"snqd/__init__.py leaves out {sorted(rooms - named)}"


def test_places_are_read_from_prose() -> None:
    text = "core/ is pure; snqd/core/job.py and tap.py, (stores/sqlite/) but no job/outcome or e.g. http://x/"
    assert places(text) == ["core/", "core/job.py", "tap.py", "stores/sqlite/"]
