from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from snqd.core.errors import SchemaTooNew, StoreCorrupt, StoreUnavailable
from snqd.core.job import PHP, Job
from snqd.stores.morgue.morgue import APPLICATION_ID, MIGRATIONS, Letter, SqliteMorgue
from snqd.stores.sqlite.connection import SqliteFile
from snqd.stores.sqlite.database import QueueDatabase


def letter(number: int, **changes: object) -> Letter:
    given = Letter(f"job-{number}", "alpha", "greet", b'{"n":1}', "json", 3, 10.0, 20.0, "it broke", "Traceback ...")
    return attrs.evolve(given, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "morgue.db"


@pytest.fixture
def morgue(path: Path) -> Iterator[SqliteMorgue]:
    morgue = SqliteMorgue(path)
    yield morgue
    morgue.close()


def ids(letters: Iterator[Letter]) -> list[str]:
    return [one.id for one in letters]


def test_a_buried_letter_is_there_for_others_at_once(morgue: SqliteMorgue, path: Path) -> None:
    kept = letter(1, body=b"a\0\xff", encoding=PHP)
    morgue.bury([kept])
    other = SqliteMorgue(path)
    assert list(other.list()) == [kept]
    assert other.get("job-1") == kept
    assert other.count() == 1
    other.close()


def test_burying_the_same_job_again_keeps_one_letter_the_last(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(1), letter(2)])
    morgue.bury([letter(1, reason="again")])
    assert morgue.count() == 2
    again = morgue.get("job-1")
    assert again is not None
    assert again.reason == "again"


def test_letters_are_listed_by_burial_and_narrowed_by_queue_and_site(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(3), letter(1, site="beta"), letter(2, queue="resize"), letter(4, site="beta", queue="resize")])
    assert ids(morgue.list()) == ["job-3", "job-1", "job-2", "job-4"]
    assert ids(morgue.list(queue="resize")) == ["job-2", "job-4"]
    assert ids(morgue.list(site="beta")) == ["job-1", "job-4"]
    assert ids(morgue.list("resize", "beta")) == ["job-4"]
    assert morgue.count("resize", "beta") == 1


def test_a_list_goes_on_over_pages_while_letters_come_and_go(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(n) for n in range(1200)])
    walk = morgue.list()
    assert next(walk).id == "job-0"
    morgue.remove(["job-1", "job-1100"])
    assert len(ids(walk)) == 1197


def test_removing_says_how_many_there_were(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(1), letter(2), letter(3, site="beta")])
    assert morgue.remove(["job-1", "nobody", "job-1"]) == 1
    assert morgue.remove_all(site="beta") == 1
    assert morgue.remove_all() == 1
    assert morgue.get("job-1") is None


def test_requeue_enqueues_at_attempt_one_and_then_forgets(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(1), letter(2)])
    enqueued: list[Job] = []

    def enqueue(jobs: Sequence[Job]) -> None:
        assert morgue.get("job-1") is not None
        enqueued.extend(jobs)

    assert morgue.requeue(["job-1", "nobody"], enqueue) == 1
    assert enqueued == [Job("job-1", "alpha", "greet", b'{"n":1}', "json", 10.0)]
    assert ids(morgue.list()) == ["job-2"]


def test_a_letter_stays_when_its_job_could_not_be_enqueued(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(1)])

    def refuse(jobs: Sequence[Job]) -> None:
        raise StoreUnavailable("disk full")

    with pytest.raises(StoreUnavailable, match="disk full"):
        morgue.requeue_all(refuse)
    assert morgue.count() == 1


def test_a_requeued_job_that_dies_at_once_keeps_its_new_letter_and_does_not_go_round(
    morgue: SqliteMorgue, path: Path
) -> None:
    morgue.bury([letter(1), letter(2)])
    daemon = SqliteMorgue(path)
    enqueued: list[str] = []

    def die_at_once(jobs: Sequence[Job]) -> None:
        enqueued.extend(job.id for job in jobs)
        daemon.bury([letter(1, reason="died again")])

    assert morgue.requeue_all(die_at_once) == 2
    assert enqueued == ["job-1", "job-2"]
    assert [one.reason for one in morgue.list()] == ["died again"]
    daemon.close()


def test_requeue_all_takes_small_batches_of_large_bodies(morgue: SqliteMorgue) -> None:
    morgue.bury([letter(n, body=b"x" * 3_000_000) for n in range(3)])
    sizes: list[int] = []
    assert morgue.requeue_all(lambda jobs: sizes.append(len(jobs)), queue="greet") == 3
    assert sizes == [2, 1]


@pytest.mark.parametrize("odd", ["../../etc/passwd", "a\0b", "ID:host\\c1", "x" * 500, "\udcff"])
def test_ids_of_other_programs_break_nothing(morgue: SqliteMorgue, path: Path, odd: str) -> None:
    morgue.bury([letter(1, id=odd)])
    (kept,) = morgue.list()
    assert morgue.get(odd) == kept
    store = QueueDatabase(path.with_name("queue.db"))
    assert morgue.requeue([odd], store.enqueue) == 1
    assert [depth.waiting for depth in store.depths()] == [1]
    store.close()


def test_bytes_that_are_no_utf8_do_not_end_a_listing(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(1), letter(2)])
    with sqlite3.connect(path) as foreign:
        foreign.execute("UPDATE letter SET id = CAST(x'ff6162' AS TEXT) WHERE id = 'job-1'")
    foreign.close()
    assert ids(morgue.list()) == ["\ufffdab", "job-2"]
    assert morgue.requeue_all(lambda jobs: None) == 2
    assert morgue.count() == 0


def test_the_file_is_for_its_owner_alone_and_its_commits_are_synced(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(1)])
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_is_no_database_is_left_untouched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, it is a diary" * 100)
    with pytest.raises(StoreCorrupt, match=r"morgue\.db is no SQLite file; it is left as it is"):
        SqliteMorgue(path).open()
    assert path.read_bytes() == b"this is not a database, it is a diary" * 100
    assert os.listdir(path.parent) == ["morgue.db"]


def test_damaged_pages_are_told_as_such(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(n, body=b"x" * 5000) for n in range(20)])
    morgue.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096))
    with pytest.raises(StoreCorrupt, match="is damaged"):
        list(SqliteMorgue(path).list())


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notice (id INTEGER)")
    other.close()
    with pytest.raises(StoreCorrupt, match="but no morgue of snqd's"):
        SqliteMorgue(path).open()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("notice",)]
    other.close()


def test_a_newer_schema_is_refused(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(1)])
    morgue.close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(SchemaTooNew, match=r"has schema version 9, this snqd knows \d"):
        SqliteMorgue(path).open()


def test_an_older_schema_is_migrated_and_keeps_its_letters(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(1)])
    morgue.close()
    more = [*MIGRATIONS, "ALTER TABLE letter ADD COLUMN note TEXT DEFAULT 'none'"]
    newer = SqliteFile(path, "morgue", APPLICATION_ID, more)
    assert newer.open().execute("SELECT id, note FROM letter").fetchall() == [("job-1", "none")]
    newer.close()


def test_a_locked_file_is_told_once_patience_ends(path: Path) -> None:
    morgue = SqliteMorgue(path, patience=0.02)
    morgue.open()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"morgue\.db: another process holds it"):
        morgue.bury([letter(1)])
    holder.execute("ROLLBACK")
    morgue.bury([letter(1)])
    assert morgue.count() == 1
    holder.close()
    morgue.close()


def test_a_full_disk_is_told_with_path_and_reason_and_loses_nothing(morgue: SqliteMorgue, path: Path) -> None:
    morgue.bury([letter(1)])
    morgue._file.open().execute("PRAGMA max_page_count = 8")
    with pytest.raises(StoreUnavailable, match=r"morgue\.db: the disk is full"):
        morgue.bury([letter(2, body=b"x" * 100_000)])
    assert ids(morgue.list()) == ["job-1"]
    morgue.bury([letter(3)])
    assert morgue.count() == 2


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnavailable, match=r"can't open the morgue .*/state/morgue\.db: "):
        SqliteMorgue(tmp_path / "state" / "morgue.db").open()
