"""The door to the store that the configuration asks for, and what it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from snqd.config.load import load_file
from snqd.config.schema import SUBSYSTEMS
from snqd.config.settings import SQL, SQLITE, Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.factory import DOORS, control_channel_of, subsystem_of
from snqd.stores.interface import IStore, Promises
from snqd.stores.memory.subsystem import MemorySubsystem
from snqd.stores.subsystem import IControlChannel, ISubsystem, StoreContext
from tests.subsystems import KEYS

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from pathlib import Path
from random import Random
from snqd.config.load import load_file
from snqd.stores.factory import subsystem_of

subsystem = subsystem_of(load_file(Path(sys.argv[1]), plugins={}))
subsystem.blocking_queue()
if sys.argv[2] == "daemon":
    from twisted.internet.testing import MemoryReactorClock
    from snqd.stores.subsystem import StoreContext

    context = StoreContext(MemoryReactorClock(), "one", lambda name: (), Random(), lambda: subsystem.settings)
    subsystem.store(context)
print(*sorted({"txredisapi", "redis", "sqlalchemy", "psycopg", "pymysql", "twisted"} & sys.modules.keys()))
"""


@pytest.fixture(params=KEYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "snq.ini"
    path.write_text(f"[queue]\n{KEYS[kind]}[handlers]\ngreet = snqd.demo.Greet\n[site:alpha]\n")
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_file(config, plugins={})


def context(settings: Settings) -> StoreContext:
    return StoreContext(MemoryReactorClock(), "one", lambda name: (), Random(), lambda: settings)


def loaded(config: Path, side: str) -> set[str]:
    command = [sys.executable, "-c", PROGRAM, str(config), side]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def test_a_daemon_loads_the_configured_stores_libraries_alone(config: Path, kind: str) -> None:
    libraries = {"redis": {"redis", "txredisapi"}, "postgresql": {"sqlalchemy"}, "mariadb": {"sqlalchemy"}}
    assert loaded(config, "daemon") == libraries.get(kind, set()) | {"twisted"}


@pytest.mark.parametrize(("kind", "libraries"), [("sqlite", set()), ("redis", {"redis"})])
def test_a_program_that_only_enqueues_does_without_the_daemons_side(config: Path, libraries: set[str]) -> None:
    assert loaded(config, "program") == libraries


def test_a_door_and_all_that_it_hands_out_provide_their_interfaces(settings: Settings) -> None:
    subsystem = subsystem_of(settings)
    assert verifyObject(ISubsystem, subsystem)
    assert verifyObject(IStore, subsystem.store(context(settings)))
    assert verifyObject(IBlockingQueue, subsystem.blocking_queue())


def test_only_the_embedded_store_has_no_control_channel(settings: Settings, kind: str) -> None:
    channel: Any = control_channel_of(settings)
    assert (channel is None) == (kind == "sqlite")
    assert IControlChannel.providedBy(subsystem_of(settings)) == (channel is not None)
    if channel is not None:
        assert verifyObject(IControlChannel, channel)
        assert verifyObject(IControlListener, channel.control_listener(MemoryReactorClock(), Random()))
        assert verifyObject(IControlPublisher, channel.control_publisher())


def test_a_store_of_any_kind_may_be_without_a_control_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "snq.ini"
    path.write_text(f"[queue]\n{KEYS['redis']}")
    monkeypatch.setitem(DOORS, "redis", lambda settings: MemorySubsystem())
    assert control_channel_of(load_file(path, plugins={})) is None


def test_without_a_queue_there_is_nobody_to_tell(tmp_path: Path) -> None:
    path = tmp_path / "snq.ini"
    path.write_text(f"[queue]\nenabled = no\n{KEYS['redis']}")
    assert control_channel_of(load_file(path, plugins={})) is None


def test_a_door_tells_its_stores_promises(settings: Settings) -> None:
    subsystem = subsystem_of(settings)
    assert isinstance(subsystem.promises, Promises)
    assert subsystem.promises == subsystem.store(context(settings)).promises


def test_a_store_is_described_by_its_place_without_password(settings: Settings) -> None:
    subsystem = subsystem_of(settings)
    assert "secret" not in subsystem.place
    assert subsystem.place.endswith("queue.db (made when it is first needed)") or "127.0.0.1:1" in subsystem.place


def test_no_kind_is_in_the_table_without_a_test() -> None:
    kinds = {"postgresql": "sql", "mariadb": "sql"}
    assert {kinds.get(kind, kind) for kind in KEYS} == DOORS.keys()


def test_every_subsystem_that_can_be_configured_has_a_door() -> None:
    assert (SUBSYSTEMS.keys() - {"db"}) | {SQLITE, SQL} == DOORS.keys()
