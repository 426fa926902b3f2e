"""SharedState of suspects and pauses, in a file and on database servers: the same answers from all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snqd.stores.interface import Pauses
from snqd.stores.stomp.shared_state import FileSharedState, SharedState, Suspect
from snqd.stores.stomp.sql_shared_state import SqlSharedState
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql


def on_server(start: Callable[[], object]) -> Callable[[Path], SharedState]:
    def make(folder: Path) -> SharedState:
        server = start()
        return SqlSharedState(server.url(server.database()))  # type: ignore[attr-defined]

    return make


KINDS = {
    "sqlite": lambda folder: FileSharedState(folder / "morgue.db"),
    "postgresql": on_server(postgresql),
    "mariadb": on_server(mariadb),
}


@pytest.fixture(params=KINDS)
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SharedState]:
    """Each kind in turn."""
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


def test_a_suspect_is_noted_once_for_each_death(notes: SharedState) -> None:
    assert notes.suspect("child-1", ["a", "b"], "killed\0 by \ud800") == 2
    assert notes.suspect("child-1", ["a"], "killed") == 0
    notes.moved("a", "q", "alpha")
    suspects = notes.read().suspects
    assert (suspects["a"].owner, suspects["a"].queue, suspects["a"].site) == ("child-1", "q", "alpha")
    assert suspects["b"].is_announced
    assert notes.suspect("solo-1", ["a"], "killed again") == 1
    assert notes.read().suspects["a"] == Suspect("solo-1", "killed again", "", "")
    notes.cleared("a")
    assert list(notes.read().suspects) == ["b"]


def test_pauses_and_what_was_paused_once(notes: SharedState) -> None:
    for key in [("q", ""), ("", "alpha"), ("r", "beta")]:
        notes.pause(*key, True)
        notes.pause(*key, True)
    noted = notes.read()
    assert noted.pauses == Pauses(frozenset({"q"}), frozenset({"alpha"}), frozenset({("r", "beta")}))
    assert noted.pause_of("r", "alpha") == ("", "alpha")
    assert noted.pause_of("r", "gamma") is None
    notes.pause("q", "", False)
    notes.pause("never", "", False)
    noted = notes.read()
    assert (noted.paused, noted.resumed) == ({("", "alpha"), ("r", "beta")}, {("q", "")})
    notes.pause("q", "", True)
    assert notes.read().resumed == frozenset()


def test_what_is_put_aside_counts_as_resumed_and_a_pause_stays_one(notes: SharedState) -> None:
    notes.pause("q", "", True)
    for queue in ("q", "r", "r"):
        notes.put_aside(queue)
    noted = notes.read()
    assert (noted.paused, noted.resumed) == ({("q", "")}, {("r", "")})
