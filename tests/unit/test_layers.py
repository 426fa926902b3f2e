"""The layers: every module of snqd imports only from its own layer and those below."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
    # The parent and the working process share the pipe and nothing else of each other.
    ("daemon", "child"),
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


# What a room may not import though it lies below.
FENCES = {
    "daemon": {"stores", "handlers", "queues", "gnusocial", "monitor"},
    "pipe": {"stores", "handlers"},
    "monitor": {"stores"},
}


def breaches(package: Path) -> list[str]:
    """Imports that a fence forbids."""
    return [
        f"{path.relative_to(package.parent)}:{line} imports {name}, behind the fence around {room}/"
        for room, forbidden in FENCES.items()
        for path in sorted((package / room).rglob("*.py"))
        for line, name in imports_of(path, package)
        if room_of(name) in forbidden
    ]


def cycles(package: Path) -> list[list[str]]:
    """Files that import each other, each cycle as the names on its way."""
    modules = {module_name(path, package): path for path in package.rglob("*.py")}

    def imported(module: str) -> set[str]:
        names = (name for _, name in imports_of(modules[module], package))
        # `from package import module` and `from module import thing` look the same: the longest name that is a file.
        found = (name if name in modules else name.rpartition(".")[0] for name in names)
        return {name for name in found if name in modules} - {module}

    graph = TopologicalSorter({module: imported(module) for module in modules if module != package.name})
    try:
        graph.prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(module_name(path, PACKAGE)) for path in PACKAGE.rglob("*.py")} - {ROOT}
    assert rooms <= set(LEVEL), f"give these a place in LAYERS: {sorted(rooms - set(LEVEL))}"


def test_imports_point_down_only() -> None:
    assert not violations(PACKAGE), "\n".join(violations(PACKAGE))


def test_no_fence_is_breached() -> None:
    assert not breaches(PACKAGE), "\n".join(breaches(PACKAGE))


def test_no_two_files_import_each_other() -> None:
    assert not cycles(PACKAGE)


def test_a_cycle_is_found(tmp_path: Path) -> None:
    package = house(tmp_path, "def late():\n    from snqd.stores.other import b")
    (package / "stores" / "other.py").write_text("from snqd.stores import thing")
    assert cycles(package)


def test_a_breached_fence_is_found(tmp_path: Path) -> None:
    package = house(tmp_path, "")
    (package / "daemon").mkdir()
    (package / "daemon" / "thing.py").write_text("from snqd.stores.thing import x")
    assert len(breaches(package)) == 1


@pytest.mark.parametrize("module", ["snqd.tap", "snqd.daemon.queue_daemon"])
def test_the_parent_loads_no_store_and_no_handler(module: str) -> None:
    """A parent of ten thousand sites stays small, and nothing of a store can hold it up."""
    shown = f"import sys, {module}; print(*sorted(name for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    forbidden = ("snqd.stores", "snqd.handlers", "snqd.queues", "snqd.child", "sqlalchemy")
    assert not [name for name in loaded if name.startswith(forbidden)]


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
