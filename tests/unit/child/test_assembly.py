"""The shape of a child: an IoMaster, which is a MultiService, over I/O managers, each of which is a service."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IService, MultiService
from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyClass

import snqd
from snqd.child import assembly
from snqd.config.load import load
from snqd.config.sources import Sources
from snqd.io import IIoManager, IoManager
from snqd.io.io_master import IoMaster
from snqd.pipe.child_spec import EXCLUSIVE, NORMAL, SOLO, ChildSpec

TEXT = """
[snqd]
id = t
[queue]
foreign = gnusocial-db
[handlers]
greet = snqd.demo.Greet
resize = snqd.demo.Resize
[group:slow]
queues = resize
[site:alpha]
"""


def bundled() -> Iterator[type[IoManager]]:
    """Every I/O manager that snqd itself has."""
    for module in pkgutil.walk_packages(snqd.__path__, "snqd."):
        importlib.import_module(module.name)
    left = IoManager.__subclasses__()
    while left:
        found = left.pop()
        left += found.__subclasses__()
        if found.__module__.startswith("snqd."):
            yield found


def test_every_bundled_manager_is_a_service_of_services() -> None:
    found = list(bundled())
    assert {"QueueManager", "GnuSocialLists", "QueueItemTables", "PluginManager"} <= {each.__name__ for each in found}
    for each in found:
        assert issubclass(each, MultiService)
        assert IService.implementedBy(each)
        assert verifyClass(IIoManager, each)


class Parent:
    """Hears nothing."""

    def heard(self, body: bytes, way: str) -> None:
        """Nobody listens."""

    def refresh_sites(self) -> None:
        """Nobody listens."""


class Recorded(IoMaster):
    """Notes what it is made of."""

    made: list[Recorded] = []

    def __init__(self, clock: Any, managers: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(clock, managers, *args, **kwargs)
        self.given = list(managers)
        self.made.append(self)


@pytest.fixture
def assembled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Recorded]:
    """Assembles the child in a place of a group, and gives its master."""
    monkeypatch.setattr(assembly, "IoMaster", Recorded)
    monkeypatch.setattr(Recorded, "made", [])
    path = tmp_path / "snq.ini"
    settings = load(Sources(path, {str(path): TEXT}), plugins={})
    (settings.daemon.state_dir / "children").mkdir(parents=True)

    def make(group: str, n: int) -> Recorded:
        spec = ChildSpec("1", "{}", 1, None, group, n, f"t.{group}.{n}", f"t.{group}.{n}-0", NORMAL)
        assembly.build(MemoryReactorClock(), settings, spec, Parent())
        return Recorded.made[-1]

    return make


def test_the_managers_of_a_child_are_services_within_its_master(assembled: Callable[[str, int], Recorded]) -> None:
    master = assembled("main", 1)
    assert isinstance(master, MultiService)
    names = [type(manager).__name__ for manager in master.given]
    assert names[:3] == ["QueueManager", "IdleSites", "QueueItemTables"]
    for manager in master.given:
        manager.start = lambda master: succeed(None)
        manager.startService = lambda: None
    started = master.start()
    assert started.called
    assert all(IService.providedBy(manager) and manager.parent is master for manager in master.given)
    assert set(master.given) <= set(master)


@pytest.mark.parametrize(("group", "n"), [("main", 2), ("slow", 1)])
def test_what_the_daemon_has_but_once_is_in_the_first_child_of_main(
    assembled: Callable[[str, int], Recorded], group: str, n: int
) -> None:
    names = {type(manager).__name__ for manager in assembled(group, n).given}
    assert "QueueManager" in names
    assert "QueueItemTables" not in names


SHARED = TEXT.replace(
    "[queue]", "[queue]\ndb = postgresql://127.0.0.1:1/nobody\nmorgue = postgresql://127.0.0.1:1/nobody"
)


@pytest.mark.parametrize(
    ("text", "group", "n", "role", "key"),
    [
        (SHARED, "main", 1, NORMAL, "once:main"),  # the queue_item tables
        (SHARED, "main", 2, NORMAL, None),
        (SHARED.replace("foreign = gnusocial-db", ""), "main", 1, NORMAL, None),
        (SHARED, "slow", 1, EXCLUSIVE, "group:slow"),
        (SHARED, "main", 1, SOLO, None),
        (TEXT, "main", 1, NORMAL, None),
        (TEXT, "slow", 1, EXCLUSIVE, None),
    ],
)
def test_what_the_farm_has_but_once_is_kept_by_the_first_manager_on_a_shared_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, group: str, n: int, role: str, key: str | None
) -> None:
    monkeypatch.setattr(assembly, "IoMaster", Recorded)
    path = tmp_path / "snq.ini"
    settings = load(Sources(path, {str(path): text}), plugins={})
    (settings.daemon.state_dir / "children").mkdir(parents=True)
    spec = ChildSpec("1", "{}", 1, None, group, n if role != SOLO else 0, "t", "t-0", role)
    parts = assembly.build(MemoryReactorClock(), settings, spec, Parent())
    first = Recorded.made.pop().given[0]
    assert (parts.once.key if parts.once else None) == key
    assert (first is parts.once) == (key is not None)
