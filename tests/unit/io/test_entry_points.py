"""I/O managers that installed packages bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from snqd.io import IoContext, IoManager, Scope, entry_points
from snqd.io.entry_points import ManagerFailed, Place, managers_of_sites, misplaced, third_party_managers
from tests.unit.io.services import services

FIRST = Place("main", first=True)
SECOND = Place("main", first=False)


class Made(IoManager):
    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context


class Single(Made):
    scope = Scope.SINGLE_ONLY


class PerSite(Made):
    scope = Scope.INSTANCE_PER_SITE


class Elsewhere(Made):
    group = "xmpp"


class SingleElsewhere(Single):
    group = "xmpp"


def broken(context: IoContext) -> IoManager:
    raise ValueError("no key")


def no_manager(context: IoContext) -> object:
    return object()


class Found:
    """An entry point that needs no installed package."""

    def __init__(self, factory: Any) -> None:
        self.name = factory.__name__
        self.value = f"package:{factory.__name__}"
        self.load = lambda: factory


def made(*factories: Callable[..., Any], place: Place = FIRST) -> list[Any]:
    return list(third_party_managers(services(), place, map(Found, factories)))  # type: ignore[arg-type]


def test_one_instance_a_process_is_the_rule() -> None:
    for place in (FIRST, SECOND):
        (manager,) = made(Made, place=place)
        assert isinstance(manager.inner, Made)
        assert (manager.inner.context.name, manager.inner.context.site) == ("Made", None)


def test_what_runs_once_runs_only_in_the_first_child() -> None:
    assert made(Single, place=SECOND) == []
    assert len(made(Single, place=FIRST)) == 1


def test_a_factory_runs_in_children_of_its_group_only() -> None:
    assert made(Elsewhere, SingleElsewhere) == []
    assert len(made(Elsewhere, SingleElsewhere, place=Place("xmpp", first=True))) == 2
    assert len(made(Elsewhere, SingleElsewhere, place=Place("xmpp", first=False))) == 1
    assert made(Made, place=Place("xmpp", first=True)) == []


def test_the_scope_is_the_factorys() -> None:
    def function(context: IoContext) -> IoManager:
        return Made(context)

    function.scope = Scope.SINGLE_ONLY  # type: ignore[attr-defined]
    (manager,) = made(function)
    assert manager.scope is Scope.SINGLE_ONLY


def test_a_factory_whose_group_is_not_configured_is_told() -> None:
    (line,) = misplaced({"main"}, map(Found, (Made, Elsewhere)))  # type: ignore[arg-type]
    assert line == (
        "I/O manager Elsewhere = package:Elsewhere does not run: it belongs to group xmpp, add a [group:xmpp] section"
    )
    assert not list(misplaced({"main", "xmpp"}, map(Found, (Made, Elsewhere))))  # type: ignore[arg-type]


def test_nothing_is_told_of_snqds_own_whose_group_is_there_only_when_they_are_wanted() -> None:
    point = Found(Elsewhere)
    point.value = "snqd.xmpp.manager:XmppManager"
    assert not list(misplaced({"main"}, [point]))  # type: ignore[list-item]


def test_a_broken_one_is_named() -> None:
    with pytest.raises(ManagerFailed, match=r"entry point broken = .*:broken .* ValueError\('no key'\)"):
        made(broken)


def test_what_is_no_manager_is_named() -> None:
    with pytest.raises(ManagerFailed, match=r"entry point no_manager = .*IIoManager"):
        made(no_manager)


@pytest.mark.parametrize(("key", "value"), [("scope", "twice"), ("group", None)])
def test_a_scope_or_group_that_is_none_is_named(key: str, value: Any) -> None:
    def odd(context: IoContext) -> IoManager:
        return Made(context)

    setattr(odd, key, value)
    with pytest.raises(ManagerFailed, match="entry point odd"):
        made(odd)


def test_installed_packages_are_asked_by_their_group(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"snqd.io_managers": [Found(Single), Found(Made)]}
    monkeypatch.setattr(entry_points, "entry_points", lambda group: groups[group])
    assert [manager.name for manager in third_party_managers(services(), FIRST)] == ["Made", "Single"]
    assert managers_of_sites(services(), FIRST, ["alpha"]) == {}


def of_sites(*factories: Callable[..., Any], place: Place = FIRST) -> dict[str, list[Any]]:
    return managers_of_sites(services(), place, ["alpha", "beta"], map(Found, factories))  # type: ignore[arg-type,return-value]


def test_managers_of_sites_are_made_by_site_and_others_are_not() -> None:
    made_of = of_sites(PerSite, Made, Single)
    contexts = {site: [manager.inner.context for manager in managers] for site, managers in made_of.items()}
    assert {site: [context.site for context in each] for site, each in contexts.items()} == {
        "alpha": ["alpha"],
        "beta": ["beta"],
    }
    assert contexts["beta"][0].name == "PerSite:beta"
    assert made(PerSite) == []
    assert of_sites(Made) == {}
    assert of_sites(PerSite, place=Place("xmpp", first=True)) == {}


def test_a_factory_of_a_site_that_fails_is_named() -> None:
    def per_site(context: IoContext) -> IoManager:
        raise ValueError("no key")

    per_site.scope = Scope.INSTANCE_PER_SITE  # type: ignore[attr-defined]
    with pytest.raises(ManagerFailed, match="per_site"):
        of_sites(per_site)
