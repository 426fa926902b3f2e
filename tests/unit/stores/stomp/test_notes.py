"""Suspects and pauses in the morgue's file; tests/contract tries what every kind of notes must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.stores.morgue.morgue import Letter, Morgue
from snqd.stores.stomp.notes import FileNotes, Noted


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[FileNotes]:
    made = FileNotes(tmp_path / "morgue.db")
    yield made
    made.close()


def test_it_shares_the_file_with_the_letters(notes: FileNotes, tmp_path: Path) -> None:
    notes.pause("q", "", True)
    morgue = Morgue(tmp_path / "morgue.db")
    morgue.bury([Letter("job-1", "alpha", "q", b"1")])
    morgue.close()
    assert notes.read() == Noted(paused=frozenset({("q", "")}))
