"""What can be done to the embedded queue, by programs without a reactor too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snqd.core.errors import StoreError
from snqd.core.job import JSON, PHP, Job
from snqd.stores.interface import Depth, Pauses, Want
from snqd.stores.sqlite.claim import SqliteFairClaim
from snqd.stores.sqlite.database import (
    QueueDatabase,
    Settlement,
    beat,
    recover,
    register,
    register_again,
    settle,
)

NOW = 1_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[QueueDatabase]:
    made = QueueDatabase(tmp_path / "queue.db")
    yield made
    made.close()


def job(number: int, site: str = "alpha", queue: str = "q", body: bytes = b"{}") -> Job:
    return Job(f"job-{number}", site, queue, body, created=time.time())


bodies = st.one_of(st.binary(), st.text(st.characters(codec="utf-8")).map(str.encode))
jobs = st.builds(
    Job,
    id=st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True),
    site=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}", fullmatch=True),
    queue=st.just("q"),
    body=bodies,
    encoding=st.sampled_from([JSON, PHP]),
    created=st.integers(0, 10**14).map(lambda number: number / 10_000),  # what 15 digits tell
    attempt=st.integers(1, 1000),
    reason=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
)


@settings(max_examples=60)
@given(batch=st.lists(jobs, max_size=8))
def test_any_jobs_come_back_as_they_were_and_each_sites_in_order(
    batch: list[Job], tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = QueueDatabase(tmp_path_factory.mktemp("any") / "queue.db")
    database.enqueue(batch)
    with database.file.transaction() as connection:
        owner = register(connection, "main-1")
        claim = SqliteFairClaim().claim(connection, owner, {"q": Want(100)}, NOW)
    database.close()
    taken = [claimed.job for claimed in claim.jobs]
    for site in {each.site for each in batch}:
        assert [each for each in taken if each.site == site] == [each for each in batch if each.site == site]
    assert len(taken) == len(batch)


def test_jobs_are_accepted_all_or_none(database: QueueDatabase) -> None:
    with pytest.raises(StoreError, match="site_is_a_name"):
        database.enqueue([job(1), job(2, site="no/site"), job(3)])
    assert database.depths() == []


def test_nothing_to_enqueue_is_fine(database: QueueDatabase) -> None:
    database.enqueue([])
    assert database.depths() == []


def test_pauses_and_depths_work_without_a_store(database: QueueDatabase) -> None:
    database.enqueue([job(1), job(2), job(3, "beta", "r")])
    database.pause("q", None, True)
    database.pause(None, "beta", True)
    database.pause("r", "beta", True)
    assert database.pauses() == Pauses(frozenset({"q"}), frozenset({"beta"}), frozenset({("r", "beta")}))
    for queue, site in (("q", None), (None, "beta"), ("r", "beta"), ("never", None)):
        database.pause(queue, site, False)
    assert database.pauses() == Pauses()
    depths = {(depth.queue, depth.site): depth for depth in database.depths()}
    assert depths["q", "alpha"] == Depth("q", "alpha", 2, 0, 0, pytest.approx(0, abs=60))


def test_an_owners_number_is_never_given_again(database: QueueDatabase) -> None:
    with database.file.transaction() as connection:
        first = register(connection, "main-1")
        recover(connection, "main-1", (), "")
        second = register(connection, "main-1")
    assert second > first


def test_registering_again_gives_all_who_ask_the_same_number(database: QueueDatabase) -> None:
    with database.file.transaction() as connection:
        old = register(connection, "main-1")
        recover(connection, "main-1", (), "")
        assert register_again(connection, "main-1") == register_again(connection, "main-1") > old


def test_two_processes_may_not_have_one_name(database: QueueDatabase) -> None:
    with database.file.transaction() as connection:
        register(connection, "main-1")
    with pytest.raises(StoreError, match=r"owner\.name"), database.file.transaction() as connection:
        register(connection, "main-1")


def test_a_beat_is_seen_by_others_and_tells_theirs(database: QueueDatabase) -> None:
    with database.file.transaction() as connection:
        one, two = register(connection, "one"), register(connection, "two")
        assert beat(connection, one) == (True, [("two", 0)])
        assert beat(connection, one) == (True, [("two", 0)])
        assert beat(connection, two) == (True, [("one", 2)])


def test_the_beat_of_one_who_lost_its_registration_changes_nothing(database: QueueDatabase) -> None:
    with database.file.transaction() as connection:
        one, two = register(connection, "one"), register(connection, "two")
        recover(connection, "one", (), "")
        assert beat(connection, one) == (False, [("two", 0)])
        assert beat(connection, two) == (True, [])


def test_one_settlement_does_all_kinds_for_several_epochs(database: QueueDatabase) -> None:
    database.enqueue([job(n) for n in range(8)])
    with database.file.transaction() as connection:
        one, two = register(connection, "one"), register(connection, "two")
        mine = [each.receipt for each in SqliteFairClaim().claim(connection, one, {"q": Want(4)}, NOW).jobs]
        yours = [each.receipt for each in SqliteFairClaim().claim(connection, two, {"q": Want(4)}, NOW).jobs]
        settlement = Settlement(
            acks=[(mine[0], [job(20, queue="later")]), (yours[0], [])],
            retries=[(mine[1], 30.0, "busy", True), (yours[1], 0.0, "late", True)],
            given_back=[mine[2], yours[2]],
        )
        good = settle(connection, settlement, NOW)
        assert good == {*mine[:3], *yours[:3]}
        assert settle(connection, settlement, NOW) == set()
    counts = {depth.queue: (depth.waiting, depth.delayed, depth.in_flight) for depth in database.depths()}
    assert counts == {"q": (2, 2, 2), "later": (1, 0, 0)}
