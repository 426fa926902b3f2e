"""I/O managers of which every site has its own, while sites come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from snqd.child import site_managers
from snqd.child.site_managers import SiteManagers
from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.io.entry_points import ManagerFailed
from snqd.io.interface import IoContext


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

    def attach(self, manager: Manager) -> Deferred[Any]:
        self.notes.append(f"+{manager.name}")
        return self.attached

    def detach(self, manager: Manager, timeout: float) -> Deferred[Any]:
        self.notes.append(f"-{manager.name} {timeout:g}")
        return succeed(None)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Sites whose managers can't be made."""
    names: set[str] = set()

    def make(context: Any, sites: Any) -> dict[str, list[Manager]]:
        if names & set(sites):
            raise ManagerFailed("no key")
        return {site: [Manager(site)] for site in sites}

    monkeypatch.setattr(site_managers, "managers_of_sites", make)
    return names


def managers(wanted: bool = True) -> tuple[Any, Any]:
    before = settings("a", "b")
    made = SiteManagers(IoContext(None, before, None), wanted)
    made.make(before.sites)
    return made, Master()


def test_they_follow_their_sites(broken: set[str]) -> None:
    made, master = managers()
    made.follow(settings("b", "c"), master)
    assert master.notes == ["-a 25", "+c"]
    made.follow(settings("b", c="C"), master)
    assert master.notes[2:] == ["-c 25", "+c"]


def test_a_child_without_such_managers_has_none(broken: set[str]) -> None:
    made, master = managers(wanted=False)
    made.follow(settings("c"), master)
    assert master.notes == []


def test_one_that_fails_is_told_and_the_others_go_on(broken: set[str], logged: list[str]) -> None:
    made, master = managers()
    broken.add("c")
    made.follow(settings("a", "b", "c", "d"), master)
    assert master.notes == ["+d"]
    assert [line for line in logged if line.startswith("critical")] == ["critical: no I/O managers for site c"]
    master.attached = fail(ManagerFailed("no connection"))
    made.follow(settings("a", "b", "d", "e"), master)
    assert "critical: site's I/O manager: start of e of site e failed" in logged
