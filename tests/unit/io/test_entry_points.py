"""I/O managers that other packages bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from snqd.io.entry_points import ManagerFailed, third_party_managers
from snqd.io.interface import IoContext, Scope
from snqd.io.io_manager import IoManager

CONTEXT = IoContext(reactor=None, settings=None, sites=None)  # type: ignore[arg-type]


class Made(IoManager):
    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context


class Single(Made):
    scope = Scope.SINGLE_ONLY


class PerSite(Made):
    scope = Scope.INSTANCE_PER_SITE


def broken(context: IoContext) -> IoManager:
    raise ValueError("no key")


class Found:
    """An entry point that needs no installed package."""

    def __init__(self, factory: Any) -> None:
        self.name = factory.__name__
        self.value = f"package:{factory.__name__}"
        self.load = lambda: factory


def made(*factories: Callable[..., Any], single: bool = False) -> list[Any]:
    return list(third_party_managers(CONTEXT, ["alpha", "beta"], single, map(Found, factories)))  # type: ignore[arg-type]


def test_one_instance_a_process_is_the_rule() -> None:
    (manager,) = made(Made)
    assert manager.context is CONTEXT


def test_what_runs_once_runs_only_where_that_is() -> None:
    assert made(Single) == []
    assert len(made(Single, single=True)) == 1


def test_one_instance_a_site_knows_its_site() -> None:
    assert [manager.context.site for manager in made(PerSite)] == ["alpha", "beta"]


def test_a_broken_one_is_named() -> None:
    with pytest.raises(ManagerFailed, match=r"entry point broken = .*:broken .* ValueError\('no key'\)"):
        made(broken)


def test_without_packages_there_are_none() -> None:
    assert third_party_managers(CONTEXT, ["alpha"], True) == []
