"""The layers: every module of snqd imports only from its own layer and those below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "snqd"

# From the bottom up. What stands in one row may not import its neighbours.
LAYERS = (
    ("core",),
    ("config",),
    ("sites",),
    ("wire", "stomp"),
    ("pipe",),
    ("stores",),
    ("monitor",),
    ("io",),
    ("handlers",),
    ("queues", "gnusocial"),
    ("daemon",),
    ("child",),
    ("ops",),
    ("snqctl",),
    ("tap", "client", "testing", "demo"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

# The package itself only hands on, lazily, what stands at the top.
ROOT = "snqd"


def room_of(module: str) -> str:
    """The part of the house that `module` (dotted) belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ROOT


def module_name(path: Path, package: Path) -> str:
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything of snqd's that `path` imports.

    Inside functions and under TYPE_CHECKING too, since a type that points up ties the layers together as well.
    """
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, path, package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == package.name)


def absolute(node: ast.ImportFrom, path: Path, package: Path) -> str:
    if not node.level:
        return node.module or ""
    above = path.relative_to(package.parent).parts[: -node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


def violations(package: Path) -> list[str]:
    found = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(module_name(path, package))
        if room == ROOT:
            continue
        for line, name in imports_of(path, package):
            imported = room_of(name)
            if imported != room and LEVEL.get(imported, len(LAYERS)) >= LEVEL.get(room, -1):
                found.append(f"{path.relative_to(package.parent)}:{line} imports {name}, which is not below it")
    return found


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(module_name(path, PACKAGE)) for path in PACKAGE.rglob("*.py")} - {ROOT}
    assert rooms <= set(LEVEL), f"give these a place in LAYERS: {sorted(rooms - set(LEVEL))}"


def test_imports_point_down_only() -> None:
    assert not violations(PACKAGE), "\n".join(violations(PACKAGE))


@pytest.mark.parametrize(
    "text",
    [
        "from snqd.daemon import child",
        "import snqd.child.child",
        "from snqd import daemon",
        "from ..daemon import child",
        "from .. import daemon",
        "def late():\n    from snqd.daemon import child",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from snqd.daemon import child",
        "from snqd import connect",
        "from snqd.unheard_of import thing",
    ],
)
def test_an_import_that_points_up_is_found(tmp_path: Path, text: str) -> None:
    package = house(tmp_path, text)
    assert len(violations(package)) == 1


@pytest.mark.parametrize(
    "text", ["from snqd.core.job import Job", "from snqd.stores import other", "from . import other"]
)
def test_an_import_that_points_down_or_stays_is_fine(tmp_path: Path, text: str) -> None:
    assert violations(house(tmp_path, text)) == []


def house(tmp_path: Path, text: str) -> Path:
    package = tmp_path / "snqd"
    (package / "stores").mkdir(parents=True)
    (package / "stores" / "thing.py").write_text(text)
    return package
