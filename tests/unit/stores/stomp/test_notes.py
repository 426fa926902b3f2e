"""Suspects and pauses in the morgue's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.stores.interface import Pauses
from snqd.stores.morgue import Letter, Morgue
from snqd.stores.stomp.notes import FileNotes, Noted, Suspect


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[FileNotes]:
    made = FileNotes(tmp_path / "morgue.db")
    yield made
    made.close()


def test_a_suspect_is_noted_once_for_each_death(notes: FileNotes) -> None:
    assert notes.suspect("child-1", ["a", "b"], "killed") == 2
    assert notes.suspect("child-1", ["a"], "killed") == 0
    notes.moved("a", "q", "alpha")
    assert notes.read().suspects == {
        "a": Suspect("child-1", "killed", "q", "alpha"),
        "b": Suspect("child-1", "killed", "", ""),
    }
    assert notes.suspect("solo-1", ["a"], "killed again") == 1
    assert notes.read().suspects["a"].is_announced
    notes.cleared("a")
    assert list(notes.read().suspects) == ["b"]


def test_pauses(notes: FileNotes) -> None:
    notes.pause("q", "", True)
    notes.pause("", "alpha", True)
    notes.pause("r", "beta", True)
    noted = notes.read()
    assert noted.pauses == Pauses(frozenset({"q"}), frozenset({"alpha"}), frozenset({("r", "beta")}))
    assert noted.pause_of("r", "alpha") == ("", "alpha")
    assert noted.pause_of("r", "gamma") is None
    notes.pause("q", "", False)
    notes.pause("never", "", False)
    noted = notes.read()
    assert (noted.paused, noted.resumed) == ({("", "alpha"), ("r", "beta")}, {("q", "")})


def test_it_shares_the_file_with_the_letters(notes: FileNotes, tmp_path: Path) -> None:
    notes.pause("q", "", True)
    morgue = Morgue(tmp_path / "morgue.db")
    morgue.bury([Letter("job-1", "alpha", "q", b"1")])
    morgue.close()
    assert notes.read() == Noted(paused=frozenset({("q", "")}))
