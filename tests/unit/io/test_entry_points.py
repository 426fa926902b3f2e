"""I/O managers that other packages bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from snqd.io.entry_points import ManagerFailed, managers_of_sites, third_party_managers
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


def of_sites(*factories: Callable[..., Any]) -> dict[str, list[Any]]:
    return managers_of_sites(CONTEXT, ["alpha", "beta"], map(Found, factories))  # type: ignore[arg-type,return-value]


def test_managers_of_sites_are_made_by_site_and_others_are_not() -> None:
    made_of = of_sites(PerSite, Made, Single)
    assert {site: [manager.context.site for manager in managers] for site, managers in made_of.items()} == {
        "alpha": ["alpha"],
        "beta": ["beta"],
    }
    assert of_sites(Made) == {}


def test_a_factory_of_a_site_that_fails_is_named() -> None:
    def per_site(context: IoContext) -> IoManager:
        raise ValueError("no key")

    per_site.scope = Scope.INSTANCE_PER_SITE  # type: ignore[attr-defined]
    with pytest.raises(ManagerFailed, match="per_site"):
        of_sites(per_site)
