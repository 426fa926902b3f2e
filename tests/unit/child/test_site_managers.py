"""I/O managers of which every site has its own, while sites come and go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from snqd.child import site_managers
from snqd.child.site_managers import SiteManagers
from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.io.entry_points import ManagerFailed, Place


def settings(*sites: str, **named: str) -> Settings:
    path = Path("/etc/snq.ini")
    keys = {**dict.fromkeys(sites, ""), **{site: f"name = {name}" for site, name in named.items()}}
    text = "[snqd]\nid = t\n" + "".join(f"[site:{site}]\n{text}\n" for site, text in keys.items())
    return load(Sources(path, {str(path): text}), plugins={})


class Manager:
    def __init__(self, site: str) -> None:
        self.name = site


class Master:
    """:ivar notes: what came and went."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.attached: Deferred[Any] = succeed(None)
        self.detached: Deferred[Any] | None = None

    def attach(self, manager: Manager) -> Deferred[Any]:
        self.notes.append(f"+{manager.name}")
        return self.attached

    def detach(self, manager: Manager, timeout: float) -> Deferred[Any]:
        self.notes.append(f"-{manager.name} {timeout:g}")
        return succeed(None) if self.detached is None else self.detached

    def reloaded(self, *sites: Sequence[str]) -> None:
        self.notes.append("/".join(",".join(each) for each in sites))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Sites whose managers can't be made."""
    names: set[str] = set()

    def make(services: Any, place: Any, sites: Any) -> dict[str, list[Manager]]:
        if names & set(sites):
            raise ManagerFailed("no key")
        return {site: [Manager(site)] for site in sites}

    monkeypatch.setattr(site_managers, "managers_of_sites", make)
    return names


def managers(wanted: bool = True) -> tuple[Any, Any]:
    before = settings("a", "b")
    made = SiteManagers(None, before, Place("main", first=True) if wanted else None)  # type: ignore[arg-type]
    made.make(before.sites)
    return made, Master()


def test_they_follow_their_sites(broken: set[str]) -> None:
    made, master = managers()
    made.follow(settings("b", "c"), master)
    assert master.notes == ["-a 25", "c//a", "+c"]
    made.follow(settings("b", c="C"), master)
    assert master.notes[3:] == ["-c 25", "/c/", "+c"]


def test_a_reload_that_leaves_the_sites_alone_is_told_too(broken: set[str]) -> None:
    made, master = managers()
    made.follow(settings("a", "b"), master)
    assert master.notes == ["//"]


def test_a_changed_sites_managers_begin_when_those_before_have_ended(broken: set[str]) -> None:
    made, master = managers()
    ending = master.detached = Deferred()
    made.follow(settings("b", a="A"), master)
    made.follow(settings("b", a="B"), master)
    made.follow(settings("b"), master)
    made.follow(settings("b", a="C"), master)
    assert [note for note in master.notes if "/" not in note] == ["-a 25"]
    ending.callback(None)
    assert [note for note in master.notes if "/" not in note] == ["-a 25", "+a"]
    master.detached = None
    made.follow(settings("b"), master)
    assert master.notes[-2:] == ["-a 25", "//a"]


def test_a_site_that_is_gone_again_before_its_managers_could_begin_has_none(broken: set[str]) -> None:
    made, master = managers()
    ending = master.detached = Deferred()
    made.follow(settings("b", a="A"), master)
    made.follow(settings("b"), master)
    ending.callback(None)
    assert "+a" not in master.notes


def test_a_child_without_such_managers_has_none(broken: set[str]) -> None:
    made, master = managers(wanted=False)
    made.follow(settings("c"), master)
    assert master.notes == []


def test_one_that_fails_is_told_and_the_others_go_on(broken: set[str], logged: list[str]) -> None:
    made, master = managers()
    broken.add("c")
    made.follow(settings("a", "b", "c", "d"), master)
    assert master.notes == ["c,d//", "+d"]
    assert [line for line in logged if line.startswith("critical")] == ["critical: no I/O managers for site c"]
    master.attached = fail(ManagerFailed("no connection"))
    made.follow(settings("a", "b", "d", "e"), master)
    assert "critical: site's I/O manager: start of e of site e failed" in logged
