"""Suspects and pauses in the morgue's file; tests/contract tries what every kind of notes must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.stores.morgue.morgue import Letter, SqliteMorgue
from snqd.stores.stomp.shared_state import FileSharedState, SharedStateSnapshot


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[FileSharedState]:
    made = FileSharedState(tmp_path / "morgue.db")
    yield made
    made.close()


def test_it_shares_the_file_with_the_letters(notes: FileSharedState, tmp_path: Path) -> None:
    notes.pause("q", "", True)
    morgue = SqliteMorgue(tmp_path / "morgue.db")
    morgue.bury([Letter("job-1", "alpha", "q", b"1")])
    morgue.close()
    assert notes.read() == SharedStateSnapshot(paused=frozenset({("q", "")}))
