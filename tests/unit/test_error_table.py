"""docs/operations.rst has every line that is logged as an error, and none that is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOUD = ("error", "critical", "failure")
SHORTEST = 12
# Not written by a call with that format: what children print, and Twisted's own.
FOREIGN = {"[{child}] {line}", "Unhandled error in Deferred"}


def loud_calls(source: str) -> Iterator[tuple[int, str | None]]:
    """Line and format of every use of a log's method for errors; None where it has no constant format."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr in LOUD and _is_log(node.value)):
            continue
        call = called.get(id(node))
        first = call.args[0] if call is not None and call.args else None
        text = first.value if isinstance(first, ast.Constant) else None
        yield node.lineno, text if isinstance(text, str) else None


def _is_log(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") in ("log", "logger")


def formats() -> dict[str, str]:
    """Every format, and where it is."""
    found = {}
    for path in sorted((ROOT / "snqd").rglob("*.py")):
        for line, text in loud_calls(path.read_text()):
            where = f"{path.relative_to(ROOT)}:{line}"
            assert text is not None, f"{where}: give the log a format that the table can have"
            found[text] = where
    return found


def documented() -> list[str]:
    text = (ROOT / "docs" / "operations.rst").read_text()
    table = text[text.index("Every error in the log") :]
    return re.findall(r"^   \* - ``(.+)``$", table, re.MULTILINE)


def test_every_line_at_error_level_is_in_the_table() -> None:
    known = documented()
    missing = [
        f"{where}: {text}" for text, where in formats().items() if not any(text.startswith(row) for row in known)
    ]
    assert not missing, "docs/operations.rst must say what these mean and what to do:\n" + "\n".join(missing)


def test_the_table_has_no_line_that_is_not_logged() -> None:
    texts = list(formats())
    stale = [row for row in documented() if row not in FOREIGN and not any(text.startswith(row) for text in texts)]
    assert not stale


def test_rows_are_told_apart() -> None:
    rows = documented()
    assert len(set(rows)) == len(rows) > 20
    assert min(map(len, rows)) >= SHORTEST


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("self.log.error('no {x}', x=1)", [(1, "no {x}")]),
        ("log.failure('broke', failure)", [(1, "broke")]),
        ("cls._log.critical('a ' 'b')", [(1, "a b")]),
        ("say = log.error", [(1, None)]),
        ("log.error(text)", [(1, None)]),
        ("log.info('fine')\nself.error('no log')", []),
    ],
)
def test_calls_are_found(source: str, found: list[tuple[int, str | None]]) -> None:
    assert list(loud_calls(source)) == found
