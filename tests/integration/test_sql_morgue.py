"""The morgue on PostgreSQL and MariaDB, for several hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest

from snqd.core.errors import StoreUnavailable
from snqd.core.job import MAX_BODY_BYTES, PHP, Job
from snqd.stores.morgue.morgue import PAGE, Letter
from snqd.stores.morgue.sql_morgue import SqlMorgue
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql


@pytest.fixture(params=[postgresql, mariadb], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def url(server: Any) -> str:
    made: str = server.url(server.database())
    return made


@pytest.fixture
def morgue(url: str) -> Iterator[SqlMorgue]:
    made = SqlMorgue(url)
    yield made
    made.close()


def letter(number: int, **changes: object) -> Letter:
    given = Letter(f"job-{number}", "alpha", "greet", b'{"n":1}', "json", 3, 10.25, 20.5, "it broke", "Traceback ...")
    return attrs.evolve(given, **changes)


def ids(letters: Iterator[Letter]) -> list[str]:
    return [each.id for each in letters]


def test_a_buried_letter_is_there_for_other_hosts_at_once(morgue: SqlMorgue, url: str) -> None:
    kept = letter(1, body=b"a\0\xff", encoding=PHP, reason="na\u00efve \U0001f600")
    morgue.bury([kept])
    other = SqlMorgue(url)
    assert list(other.list()) == [kept]
    assert other.get("job-1") == kept
    assert other.get("job-2") is None
    assert (other.count(), other.exists()) == (1, True)
    other.close()


def test_there_is_one_letter_for_each_job_the_last(morgue: SqlMorgue) -> None:
    morgue.bury([letter(1), letter(2), letter(1, reason="in the same batch")])
    morgue.bury([letter(1, reason="again")])
    assert sorted(ids(morgue.list())) == ["job-1", "job-2"]
    again = morgue.get("job-1")
    assert again is not None
    assert again.reason == "again"


def test_letters_are_narrowed_and_removed_by_queue_and_site(morgue: SqlMorgue) -> None:
    morgue.bury([letter(3), letter(1, site="beta"), letter(2, queue="resize"), letter(4, site="beta", queue="resize")])
    assert ids(morgue.list()) == ["job-3", "job-1", "job-2", "job-4"]
    assert ids(morgue.list("resize", "beta")) == ["job-4"]
    assert morgue.count(site="beta") == 2
    assert morgue.remove_all("resize") == 2
    assert morgue.remove(["job-3", "job-9"]) == 1
    assert ids(morgue.list()) == ["job-1"]


def test_letters_go_back_to_the_queue_once_it_has_them_safe(morgue: SqlMorgue) -> None:
    morgue.bury([letter(number) for number in range(PAGE + 5)])
    queue: list[Job] = []

    def refuse(jobs: Sequence[Job]) -> None:
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        morgue.requeue_all(refuse)
    assert morgue.count() == PAGE + 5
    assert morgue.requeue(["job-7", "no-such-job"], queue.extend) == 1
    assert (queue[0].id, queue[0].attempt, queue[0].body) == ("job-7", 1, b'{"n":1}')
    assert morgue.requeue_all(queue.extend) == PAGE + 4
    assert len({job.id for job in queue}) == PAGE + 5
    assert morgue.count() == 0


def test_the_largest_payload_and_the_oddest_names_lie_in_it(morgue: SqlMorgue) -> None:
    body = os.urandom(MAX_BODY_BYTES)
    odd = letter(1, site="a NUL \0 and half a pair \ud800", queue="q" * 5000, body=body, traceback="\0\udfff" * 50_000)
    morgue.bury([odd])
    found = morgue.get("job-1")
    assert found is not None
    assert found.body == body
    assert found.site.startswith("a NUL")
    assert morgue.count(site=odd.site, queue=odd.queue) == 1


def test_a_server_that_is_away_is_said_to_be_and_found_again(morgue: SqlMorgue, server: Any) -> None:
    morgue.bury([letter(1)])
    server.kill()
    try:
        with pytest.raises(StoreUnavailable):
            morgue.bury([letter(2)])
    finally:
        server.start()
    morgue.bury([letter(2)])
    assert morgue.count() == 2
