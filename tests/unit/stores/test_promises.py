"""Promises, and the manual's table of them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from snqd.config.load import load_file
from snqd.stores.factory import subsystem_of
from snqd.stores.interface import Promise, Promises
from snqd.stores.subsystem import ISubsystem
from tests.subsystems import KEYS

MANUAL = Path(__file__).parents[3] / "docs" / "stores.rst"
BEGIN, END = ".. The promises, as the stores declare them.\n\n", "\n.. The end of the promises.\n"
WIDTH = 100


def doors(folder: Path) -> list[ISubsystem]:
    """One to each kind of store; PostgreSQL and MariaDB have the same."""
    config = folder / "snq.ini"
    found = {}
    for keys in KEYS.values():
        config.write_text(f"[queue]\n{keys}\n")
        door = subsystem_of(load_file(config, plugins={}))
        found.setdefault(door.name, door)
    return list(found.values())


def table(doors: list[ISubsystem]) -> str:
    """The manual's table: a row for each promise, a column for each kind of store."""
    titles = [door.name for door in doors]
    widths = [max(map(len, map(name_of, Promise))), *(max(map(len, title.split())) for title in titles)]
    widths.append(WIDTH - sum(widths) - len(widths))
    lines = [rule := " ".join("=" * width for width in widths)]
    lines += row(["promise", *titles, "what it says"], widths)
    lines.append(rule)
    for promise in Promise:
        kept = ["yes" if promise in door.promises else "no" for door in doors]
        lines += row([name_of(promise), *kept, promise.value], widths)
    return "\n".join([*lines, rule, ""])


def row(cells: list[str], widths: list[int]) -> list[str]:
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    filled = [[*cell, *[""] * (max(map(len, wrapped)) - len(cell))] for cell in wrapped]
    columns = zip(*filled, strict=True)
    return [" ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in columns]


def reasons(doors: list[ISubsystem]) -> str:
    """Why a store does not keep a promise."""
    items = [
        textwrap.fill(f"- {door.name}, {name_of(promise)}: {why}.", WIDTH, subsequent_indent="  ")
        for door in doors
        for promise, why in door.promises.lacking.items()
    ]
    return "\n".join([*items, ""])


def name_of(promise: Promise) -> str:
    return promise.name.lower().replace("_", " ")


def test_the_manual_has_the_promises_that_the_stores_declare(tmp_path: Path) -> None:
    text = MANUAL.read_text()
    found = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    every = doors(tmp_path)
    assert found == f"{table(every)}\nWhy not:\n\n{reasons(every)}"


def test_a_store_keeps_each_promise_that_it_does_not_declare_to_lack() -> None:
    promises = Promises({Promise.DEPTHS: "nobody counts"})
    assert [promise for promise in Promise if promise not in promises] == [Promise.DEPTHS]
