"""docs/extending.rst tells of all that an author may use, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from zope.interface import Interface

import snqd.io
from snqd.io import IIoManager, IoContext, Scope
from snqd.io.reports import MAX_REPORT_BYTES, MAX_TOTAL_BYTES
from snqd.io.threads import MAX_THREADS
from snqd.stores.interface import IStore

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.rst").read_text()
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def section(title: str) -> str:
    """The text below the heading `title`, up to the next heading."""
    text = PAGE.split(f"\n{title}\n", 1)[1].split("\n", 1)[1]
    return re.split(r"\n[^\n]+\n[-~]{4,}\n", text)[0]


def entries(text: str) -> set[str]:
    """The terms that it defines: a line each, with an indented text below."""
    terms = re.findall(r"^(``.+)\n   \S", text, re.MULTILINE)
    return {name for term in terms for name in re.findall(r"``(\w+)[(`]", term)}


def members(interface: type[Interface]) -> set[str]:
    return set(interface.names(all=True))


def test_every_part_of_the_context_is_told() -> None:
    public = {name for name in vars(IoContext) if not name.startswith("_")} | {"reactor", "name", "site", "sites"}
    of_the_master = {"when_idle", "close"}
    told = entries(section("The context").split("\n``enqueue`` checks")[0])
    assert told == public - of_the_master


def test_every_method_of_a_manager_is_told() -> None:
    assert entries(section("The manager")) == members(IIoManager) - {"name", "scope", "poll_interval"}


def test_every_scope_is_told() -> None:
    assert all(f"``Scope.{scope.name}``" in section("The factory") for scope in Scope)


def test_every_promise_of_a_store_is_told() -> None:
    assert entries(section("What each method promises")) == members(IStore)


@pytest.mark.parametrize("number", [f"{MAX_REPORT_BYTES:,}", f"{MAX_TOTAL_BYTES:,}", f"At most {WORDS[MAX_THREADS]} "])
def test_limits_are_told(number: str) -> None:
    assert number.lower() in " ".join(section("The context").lower().split())


def test_what_the_packages_export_is_what_the_page_uses() -> None:
    used = set(re.findall(r"snqd\.io\.([A-Z]\w+)", PAGE)) | {"Scope", "IoContext"}
    assert used <= set(snqd.io.__all__)


def test_what_it_includes_is_there() -> None:
    for name in re.findall(r"docs/examples/(\w+\.py)|literalinclude:: examples/(\S+)", PAGE):
        assert (ROOT / "docs" / "examples" / "".join(name)).is_file()
