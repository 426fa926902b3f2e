"""Opening SQLite files with care, and writing in transactions that starve nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from snqd.core.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreUnavailable
from snqd.stores.sqlite.connection import SqliteFile

KIND = "queue"
MARK = 4711
FIRST = "CREATE TABLE note (text TEXT NOT NULL)"
SECOND = "ALTER TABLE note ADD COLUMN at REAL; CREATE INDEX note_at ON note (at)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def files() -> Iterator[Callable[..., SqliteFile]]:
    made: list[SqliteFile] = []

    def make(path: Path, *migrations: str, **options: object) -> SqliteFile:
        made.append(SqliteFile(path, KIND, MARK, migrations or (FIRST,), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for file in made:
        file.close()


Files = Callable[..., SqliteFile]


def notes(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]
    finally:
        connection.close()


def write(file: SqliteFile, text: str) -> None:
    with file.transaction() as connection:
        connection.execute("INSERT INTO note (text) VALUES (?)", (text,))


def test_a_new_file_gets_its_mark_its_schema_and_durable_commits(path: Path, files: Files) -> None:
    connection = files(path).open()
    pragmas = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "journal_mode", "synchronous")
    ]
    assert pragmas == [MARK, 1, "wal", 2]


def test_folders_are_made_for_their_owner_alone(tmp_path: Path, files: Files) -> None:
    files(tmp_path / "state" / "of" / "notes.db").open()
    assert (tmp_path / "state" / "of").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "of" / "notes.db").stat().st_mode & 0o777 == 0o600


def test_a_transaction_is_there_for_others_at_its_end(path: Path, files: Files) -> None:
    file = files(path)
    with file.transaction() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('one')")
        assert notes(path) == []
    assert notes(path) == ["one"]


def test_a_transaction_rolls_back_on_any_exception_and_the_next_works(path: Path, files: Files) -> None:
    file = files(path)
    with pytest.raises(KeyError), file.transaction() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('lost')")
        raise KeyError
    write(file, "kept")
    assert notes(path) == ["kept"]


def test_a_refused_row_rolls_its_transaction_back_in_words(path: Path, files: Files) -> None:
    file = files(path)
    words = r"notes\.db: NOT NULL constraint failed: note\.text"
    with pytest.raises(StoreError, match=words) as caught, file.transaction() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('lost')")
        connection.execute("INSERT INTO note (text) VALUES (NULL)")
    assert not isinstance(caught.value, StoreUnavailable)
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    assert notes(path) == []


WORDS = [
    (sqlite3.SQLITE_FULL, StoreUnavailable, "free some space"),
    (sqlite3.SQLITE_READONLY, StoreUnavailable, "check the owner and the mount"),
    (sqlite3.SQLITE_READONLY_DIRECTORY, StoreUnavailable, "check the owner and the mount"),
    (sqlite3.SQLITE_CANTOPEN, StoreUnavailable, "check its folder's existence"),
    (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailable, "the disk failed"),
    (sqlite3.SQLITE_BUSY, StoreUnavailable, "another process holds it"),
    (sqlite3.SQLITE_CORRUPT, StoreCorrupt, "move it away"),
    (sqlite3.SQLITE_NOTADB, StoreCorrupt, "move it away"),
    (sqlite3.SQLITE_ERROR, StoreError, "what sqlite says"),
]


@pytest.mark.parametrize(("code", "kind", "words"), WORDS)
def test_each_error_names_the_file_and_says_what_to_do(
    path: Path, files: Files, code: int, kind: type[StoreError], words: str
) -> None:
    error = sqlite3.OperationalError("what sqlite says")
    error.sqlite_errorcode = code
    with pytest.raises(StoreError) as caught, files(path).errors_in_words():
        raise error
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "what sqlite says" in str(caught.value)


class Waits(Random):
    """A random source that is asked how long to wait, and does something at the third wait."""

    def __init__(self, third: Callable[[], object]) -> None:
        super().__init__()
        self.count = 0
        self._third = third

    def uniform(self, low: float, high: float) -> float:
        self.count += 1
        if self.count == 3:
            self._third()
        assert 0 < low < high <= 0.001
        return 0.0


def test_a_transaction_waits_until_another_process_lets_go(path: Path, files: Files) -> None:
    files(path).open()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waits = Waits(lambda: holder.execute("COMMIT"))
    write(files(path, random=waits), "late")
    holder.close()
    assert waits.count == 3
    assert notes(path) == ["late"]


def test_a_transaction_gives_up_when_its_patience_ends(path: Path, files: Files) -> None:
    files(path).open()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    impatient = files(path, patience=-1.0)
    with pytest.raises(StoreUnavailable, match="another process holds it"):
        write(impatient, "never")
    holder.close()
    write(impatient, "now")
    assert notes(path) == ["now"]


def test_a_file_closed_opens_again(path: Path, files: Files) -> None:
    file = files(path)
    assert file.open() is file.open()
    file.close()
    file.close()
    write(file, "again")
    assert notes(path) == ["again"]


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_rows(path: Path, files: Files) -> None:
    write(files(path), "old")
    connection = files(path, FIRST, SECOND).open()
    assert connection.execute("SELECT text, at FROM note").fetchall() == [("old", None)]
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_migration_that_fails_leaves_the_schema_as_it_was(path: Path, files: Files) -> None:
    write(files(path), "old")
    with pytest.raises(StoreError):
        files(path, FIRST, SECOND + "; DROP TABLE nothing").open()
    connection = files(path).open()
    assert [row[1] for row in connection.execute("PRAGMA table_info(note)")] == ["text"]


def test_a_newer_schema_is_refused(path: Path, files: Files) -> None:
    files(path, FIRST, SECOND).open()
    with pytest.raises(SchemaTooNew, match=r"notes\.db has schema version 2, this snqd knows 1"):
        files(path).open()


def test_a_file_of_another_kind_is_refused(path: Path, files: Files) -> None:
    SqliteFile(path, "morgue", MARK + 1, (FIRST,)).open()
    with pytest.raises(StoreCorrupt, match="no queue of snqd's: name another file"):
        files(path).open()


def test_an_empty_file_is_a_new_one(path: Path, files: Files) -> None:
    path.touch()
    write(files(path), "one")
    assert notes(path) == ["one"]


def test_two_that_make_the_file_at_once_agree(path: Path, files: Files) -> None:
    slow = sqlite3.connect(path, isolation_level=None)
    slow.execute("BEGIN IMMEDIATE")  # as one that is making the schema
    waits = Waits(lambda: slow.execute("COMMIT"))
    files(path, random=waits).open()
    assert waits.count >= 3
    files(path).open()
    slow.close()
