"""What the embedded queue does where its file is damaged, foreign, newer, unwritable, or its disk full."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from snqd.core.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreUnavailable
from snqd.stores.sqlite.database import QueueDatabase


async def refused(bench: Any, error: type[StoreError]) -> str:
    """Opening fails with `error`; returns its text."""
    store = bench.make("refused")
    with pytest.raises(error) as caught:
        await store.open(lambda: None)
    await store.close()
    assert str(bench.path) in str(caught.value)
    return str(caught.value)


# Files that are not a queue


def queue_of_many_pages(path: Path) -> bytes:
    database = QueueDatabase(path)
    with database.file.transaction() as connection:
        rows = [("alpha", "q", b"x" * 500)] * 200
        connection.executemany("INSERT INTO job (site, queue, body) VALUES (?, ?, ?)", rows)
    database.close()
    return path.read_bytes()


def random_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def random_bytes_behind_a_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + os.urandom(20_000))


def text(path: Path) -> None:
    path.write_text("[queue]\n")


def half_a_queue(path: Path) -> None:
    path.write_bytes(queue_of_many_pages(path)[: 10 * 4096])


def half_a_page(path: Path) -> None:
    path.write_bytes(queue_of_many_pages(path)[:1000])


def less_than_a_header(path: Path) -> None:
    path.write_bytes(queue_of_many_pages(path)[:50])


def a_few_bytes(path: Path) -> None:
    path.write_bytes(b"SQLi")


def another_programs_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.close()


def another_programs_marked_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 252006674")
        connection.execute("CREATE TABLE bookmark (url TEXT)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


WRONG_FILES = [
    random_bytes,
    random_bytes_behind_a_header,
    text,
    half_a_queue,
    half_a_page,
    less_than_a_header,
    a_few_bytes,
    another_programs_database,
    another_programs_marked_database,
]


@pytest.mark.parametrize("make", WRONG_FILES, ids=lambda make: make.__name__)
@ensureDeferred
async def test_a_file_that_is_no_queue_is_refused_and_left_as_it_is(
    sqlite_bench: Any, make: Callable[[Path], None]
) -> None:
    make(sqlite_bench.path)
    before = sqlite_bench.path.read_bytes()
    message = await refused(sqlite_bench, StoreCorrupt)
    assert "move it away" in message or "name another file" in message
    assert sqlite_bench.path.read_bytes() == before


@ensureDeferred
async def test_a_queue_that_a_newer_snqd_wrote_is_refused_and_left_as_it_is(sqlite_bench: Any) -> None:
    await sqlite_bench.close(await sqlite_bench.process())
    with sqlite3.connect(sqlite_bench.path) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()
    before = sqlite_bench.path.read_bytes()
    assert "1000" in await refused(sqlite_bench, SchemaTooNew)
    assert sqlite_bench.path.read_bytes() == before


@ensureDeferred
async def test_two_processes_may_make_the_queue_at_once(sqlite_bench: Any) -> None:
    stores = [sqlite_bench.make(f"process-{n}") for n in range(6)]
    await gatherResults([store.open(lambda: None) for store in stores])
    await gatherResults([store.close() for store in stores])


# Rows of other programs

INSERT = "INSERT INTO job (site, queue, body) VALUES (?, ?, ?)"


def insert(path: Path, columns: str, *values: object) -> None:
    """What a program that knows nothing of snqd does."""
    marks = ", ".join("?" for _ in values)
    connection = sqlite3.connect(path, timeout=30)
    try:
        with connection:
            connection.execute(f"INSERT INTO job ({columns}) VALUES ({marks})", values)
    finally:
        connection.close()


@ensureDeferred
async def test_another_programs_insert_is_a_job_and_wakes(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    woken = one.woken()
    before = reactor.seconds()
    insert(sqlite_bench.path, "site, queue, body", "alpha", "q", '{"id": 7}')
    await woken
    (claimed,) = await one.claim()
    job = claimed.job
    assert (job.site, job.queue, job.body, job.encoding, job.attempt) == ("alpha", "q", b'{"id": 7}', "json", 1)
    assert job.created == pytest.approx(before, abs=30)
    assert len(job.id) == 32


@pytest.mark.parametrize("body", [b"\xff", "\u20ac", "a\0b", b"a\0b", b"", ""], ids=repr)
@ensureDeferred
async def test_another_programs_bodies_come_back_unchanged(sqlite_bench: Any, body: bytes | str) -> None:
    one = await sqlite_bench.process()
    insert(sqlite_bench.path, "site, queue, body", "alpha", "q", body)
    (claimed,) = await one.claim()
    assert claimed.job.body == (body.encode() if isinstance(body, str) else body)


ODD_ROWS = [
    ("site, queue, body", ("alpha", "q", 7)),
    ("site, queue, body", ("alpha", "q", 1.5)),
    ("site, queue, body", ("alpha", "q", None)),
    ("site, queue, body", (None, "q", "1")),
    ("site, queue, body", (b"alpha", "q", "1")),
    ("site, queue, body", ("alpha", b"q", "1")),
    ("site, queue, body", ("", "q", "1")),
    ("site, queue, body", ("alpha", "", "1")),
    ("site, queue, body", ("al/pha", "q", "1")),
    ("site, queue, body", ("al\0pha", "q", "1")),
    ("site, queue, body", ("x" * 65, "q", "1")),
    ("site, queue, body", ("alpha", "q\u00e9", "1")),
    ("site, queue, body, id", ("alpha", "q", "1", "")),
    ("site, queue, body, id", ("alpha", "q", "1", "x" * 65)),
    ("site, queue, body, id", ("alpha", "q", "1", "a/b")),
    ("site, queue, body, id", ("alpha", "q", "1", "a\0" + "b" * 100)),
    ("site, queue, body, encoding", ("alpha", "q", "1", "xml")),
    ("site, queue, body, created", ("alpha", "q", "1", "yesterday")),
    ("site, queue, body, created", ("alpha", "q", "1", float("inf"))),
    ("site, queue, body, attempt", ("alpha", "q", "1", "first")),
    ("site, queue, body, attempt", ("alpha", "q", "1", 0)),
    ("site, queue, body, due", ("alpha", "q", "1", float("inf"))),
    ("site, queue, body, due", ("alpha", "q", "1", "tomorrow")),
    ("site, queue, body, solo", ("alpha", "q", "1", "no")),
    ("site, queue, body, owner", ("alpha", "q", "1", "me")),
]


@pytest.mark.parametrize(("columns", "values"), ODD_ROWS)
@ensureDeferred
async def test_rows_that_could_not_be_handed_out_are_refused(
    sqlite_bench: Any, columns: str, values: tuple[object, ...]
) -> None:
    one = await sqlite_bench.process()
    with pytest.raises(sqlite3.IntegrityError):
        insert(sqlite_bench.path, columns, *values)
    assert await one.store.depths() == []


@pytest.mark.parametrize("column", ["site", "queue", "reason", "body", "id"])
@ensureDeferred
async def test_text_that_is_no_utf8_stops_nobody(sqlite_bench: Any, column: str) -> None:
    one = await sqlite_bench.process()
    names = {"site": "'alpha'", "queue": "'q'", "body": "'1'", column: "CAST(x'41ff42' AS TEXT)"}
    connection = sqlite3.connect(sqlite_bench.path, timeout=30)
    try:
        connection.execute(f"INSERT INTO job ({', '.join(names)}) VALUES ({', '.join(names.values())})")
        connection.commit()
    except sqlite3.IntegrityError:
        assert column in ("site", "queue", "id")
    finally:
        connection.close()
    job = sqlite_bench.job()
    await one.enqueue(job)
    assert job.id in await one.drain()


@ensureDeferred
async def test_a_follow_up_that_is_refused_fails_its_own_job_alone(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    await one.enqueue(*sqlite_bench.jobs(5))
    bad, *good = await one.claim()
    failing = one.store.ack(bad.receipt, [sqlite_bench.job("no/site")])
    others = [one.store.ack(each.receipt, [sqlite_bench.job(queue="later")]) for each in good]
    with pytest.raises(StoreError):
        await failing
    assert await gatherResults(others) == [True] * 4
    assert len(await one.claim(queue="later")) == 4
    assert await one.store.retry(bad.receipt, 100, "its follow-up is no job") is True


@ensureDeferred
async def test_jobs_enqueued_together_are_accepted_all_or_none(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    neighbour = one.store.enqueue([sqlite_bench.job()])
    with pytest.raises(StoreError):
        await one.store.enqueue([sqlite_bench.job(), sqlite_bench.job("no/site")])
    await neighbour
    assert len(await one.claim()) == 1


# Disks that refuse


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


@ensureDeferred
async def test_a_full_disk_refuses_new_jobs_in_words_and_takes_them_when_there_is_space(
    sqlite_bench: Any, small_disk: Path
) -> None:
    sqlite_bench.path = small_disk / "queue.db"
    one = await sqlite_bench.process()
    kept = sqlite_bench.job()
    await one.enqueue(kept)
    filler = fill(small_disk)
    big = sqlite_bench.job(body=b"x" * 100_000)
    with pytest.raises(StoreUnavailable, match=r"queue\.db: .*free some space|queue\.db: the disk failed"):
        await one.enqueue(big)
    filler.unlink()
    await one.enqueue(big)
    assert await one.drain() == [kept.id, big.id]
    await sqlite_bench.close_all()


@ensureDeferred
async def test_a_queue_can_not_be_made_on_a_full_disk_and_can_once_there_is_space(
    sqlite_bench: Any, small_disk: Path
) -> None:
    sqlite_bench.path = small_disk / "queue.db"
    filler = fill(small_disk)
    await refused(sqlite_bench, StoreUnavailable)
    filler.unlink()
    one = await sqlite_bench.process()
    await one.enqueue(sqlite_bench.job())
    await sqlite_bench.close_all()


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


async def settling_on_a_full_disk(bench: Any, disk: Path) -> tuple[Any, list[Any], Path, str]:
    """A process whose settlements wait for space; their follow-up is too large for what is left."""
    bench.path = disk / "queue.db"
    one = await bench.process()
    await one.enqueue(*bench.jobs(3))
    first, second, third = await one.claim()
    filler = fill(disk)
    asked = [
        one.store.ack(first.receipt, [bench.job(queue="later", body=b"x" * 100_000)]),
        one.store.ack(second.receipt),
        one.store.retry(third.receipt, 0.0, "busy"),
    ]
    with pytest.raises(StoreUnavailable):
        await one.enqueue(bench.job(body=b"x" * 100_000))
    return one, asked, filler, first.job.id


@ensureDeferred
async def test_settlements_wait_through_a_full_disk_and_are_written_when_there_is_space(
    sqlite_bench: Any, small_disk: Path
) -> None:
    one, asked, filler, _ = await settling_on_a_full_disk(sqlite_bench, small_disk)
    assert not asked[0].called
    assert "the disk is full" in one.store.trouble
    filler.unlink()
    assert await gatherResults(asked) == [True, True, True]
    assert one.store.trouble is None
    assert len(await one.claim(queue="later")) == 1
    assert [each.job.attempt for each in await one.claim_when_due()] == [2]
    await sqlite_bench.close_all()


@ensureDeferred
async def test_closing_on_a_full_disk_fails_the_settlements_that_wait_and_loses_no_job(
    sqlite_bench: Any, small_disk: Path
) -> None:
    one, asked, filler, unsettled = await settling_on_a_full_disk(sqlite_bench, small_disk)
    with pytest.raises(StoreUnavailable):
        await sqlite_bench.close(one)
    with pytest.raises(StoreUnavailable):
        await asked[0]
    for done in asked[1:]:
        done.addErrback(lambda failure: failure.trap(StoreUnavailable))
    filler.unlink()
    two = await sqlite_bench.process()
    await two.store.recover(one.name, (), "")
    left = {each.job.id for each in await two.claim_when_due()}
    assert unsettled in left
    await sqlite_bench.close_all()


@ensureDeferred
async def test_settlements_that_wait_are_written_at_closing_if_there_is_space_again(
    sqlite_bench: Any, small_disk: Path
) -> None:
    one, asked, filler, _ = await settling_on_a_full_disk(sqlite_bench, small_disk)
    filler.unlink()
    await sqlite_bench.close(one)
    assert await gatherResults(asked) == [True, True, True]


@ensureDeferred
async def test_a_queue_on_a_read_only_disk_is_unavailable_by_name(sqlite_bench: Any, small_disk: Path) -> None:
    sqlite_bench.path = small_disk / "queue.db"
    one = await sqlite_bench.process()
    await one.enqueue(sqlite_bench.job())
    await sqlite_bench.close_all()
    make_read_only(small_disk)
    await refused(sqlite_bench, StoreUnavailable)
    sqlite_bench.path = small_disk / "new.db"
    await refused(sqlite_bench, StoreUnavailable)


@ensureDeferred
async def test_a_folder_that_can_not_be_made_is_unavailable_by_name(sqlite_bench: Any) -> None:
    (sqlite_bench.folder / "file").write_text("")
    sqlite_bench.path = sqlite_bench.folder / "file" / "queue.db"
    await refused(sqlite_bench, StoreUnavailable)


@ensureDeferred
async def test_the_queue_is_for_its_owner_alone(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    await one.enqueue(sqlite_bench.job())
    files = list(sqlite_bench.folder.glob("queue.db*"))
    assert len(files) >= 3
    assert {oct(file.stat().st_mode & 0o077) for file in files} == {"0o0"}


# The doorbell


@ensureDeferred
async def test_a_bell_whose_process_is_gone_is_taken_down(sqlite_bench: Any) -> None:
    one, gone = await sqlite_bench.process(), await sqlite_bench.process()
    bells = sqlite_bench.path.with_name("queue.db.bells")
    mine, theirs = sorted(bells.iterdir())
    left_behind = sqlite_bench.folder / "left"
    os.link(theirs, left_behind)
    await sqlite_bench.close(gone)
    shutil.move(left_behind, theirs)
    await one.enqueue(sqlite_bench.job())
    assert list(bells.iterdir()) == [mine]


@ensureDeferred
async def test_the_own_jobs_wake_at_once_and_not_at_the_next_look_for_others(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    wakes = one.wakes
    await one.enqueue(sqlite_bench.job())
    assert one.wakes > wakes


@ensureDeferred
async def test_an_idle_process_is_not_woken_by_its_own_claims(sqlite_bench: Any) -> None:
    one = await sqlite_bench.process()
    await one.enqueue(sqlite_bench.job())
    await one.drain()
    await deferLater(reactor, 0.25)  # two looks for others' commits
    wakes = one.wakes
    for _ in range(5):
        await one.claim()
        await deferLater(reactor, 0.11)
    assert one.wakes == wakes
