"""Fair claims from the embedded queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.core.job import Job
from snqd.stores.interface import Claim, Want
from snqd.stores.sqlite.claim import PROMOTED_AT_ONCE, LeaseLost, SqliteFairClaim
from snqd.stores.sqlite.database import QueueDatabase, register

NOW = 1_000_000.0


class Queue:
    """A queue with one owner, and what its claims cost."""

    def __init__(self, path: Path) -> None:
        self.database = QueueDatabase(path)
        with self.database.file.transaction() as connection:
            self.owner = register(connection, "main-1")
        self.fair_claim = SqliteFairClaim()
        self.statements = 0
        self.steps = 0

    def enqueue(self, site: str, count: int = 1, queue: str = "q", **more: float) -> None:
        jobs = [Job(f"{queue}-{site}-{n}", site, queue, b"{}", created=NOW, **more) for n in range(count)]  # type: ignore[arg-type]
        self.database.enqueue(jobs)

    def claim(self, now: float = NOW, **wants: Want) -> Claim:
        with self.database.file.transaction() as connection:
            connection.set_trace_callback(self._statement)
            connection.set_progress_handler(self._hundred_steps, 100)
            try:
                return self.fair_claim.claim(connection, self.owner, wants, now)
            finally:
                connection.set_trace_callback(None)
                connection.set_progress_handler(None, 0)

    def cost(self, **wants: Want) -> tuple[int, int]:
        """The statements of one claim, and the steps of SQLite's machine."""
        self.statements = self.steps = 0
        self.claim(**wants)
        return self.statements, self.steps

    def _statement(self, sql: str) -> None:
        self.statements += not sql.startswith("--")

    def _hundred_steps(self) -> int:
        self.steps += 100
        return 0


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "queue.db")
    yield made
    made.database.close()


def sites(claim: Claim) -> list[str]:
    return [claimed.job.site for claimed in claim.jobs]


def test_ten_thousand_sites_are_each_served_before_any_is_served_twice(queue: Queue) -> None:
    queue.database.enqueue([Job(f"{n}-{site}", f"site-{site}", "q", b"") for n in range(2) for site in range(10_000)])
    first = [site for _ in range(200) for site in sites(queue.claim(q=Want(50)))]
    assert len(set(first)) == len(first) == 10_000
    second = [site for _ in range(200) for site in sites(queue.claim(q=Want(50)))]
    assert set(second) == set(first)
    assert len(second) == 10_000


def test_a_claim_among_ten_thousand_sites_costs_no_more_than_among_a_hundred(tmp_path: Path) -> None:
    few, many = Queue(tmp_path / "few.db"), Queue(tmp_path / "many.db")
    few.database.enqueue([Job(f"{n}", f"site-{n % 100}", "q", b"") for n in range(1000)])
    many.database.enqueue([Job(f"{n}", f"site-{n % 10_000}", "q", b"") for n in range(20_000)])
    for _ in range(3):
        statements, steps = few.cost(q=Want(50))
        more_statements, more_steps = many.cost(q=Want(50))
        assert more_statements <= statements <= 6
        assert more_steps <= steps * 1.2 + 500
    few.database.close()
    many.database.close()


def test_a_claim_costs_the_same_behind_a_backlog_of_one_site(queue: Queue) -> None:
    queue.enqueue("loud", 100)
    _, before = queue.cost(q=Want(10))
    queue.database.enqueue([Job(f"more-{n}", "loud", "q", b"") for n in range(20_000)])
    _, after = queue.cost(q=Want(10))
    assert after <= before + 500


def test_a_quiet_site_is_not_far_behind_a_loud_one(queue: Queue) -> None:
    queue.enqueue("loud", 1000)
    queue.enqueue("quiet")
    assert "quiet" in sites(queue.claim(q=Want(2)))


def test_each_queue_has_its_own_turn(queue: Queue) -> None:
    for site in ("a", "b", "c"):
        queue.enqueue(site, 3, queue="q")
        queue.enqueue(site, 3, queue="r")
    turns = [queue.claim(q=Want(1), r=Want(1)).jobs for _ in range(3)]
    served = Counter((claimed.job.queue, claimed.job.site) for jobs in turns for claimed in jobs)
    assert set(served.values()) == {1}
    assert len(served) == 6


def test_room_for_one_is_given_to_the_site_that_holds_least(queue: Queue) -> None:
    for site in "abcdef":
        queue.enqueue(site, 2)
    held = {"a": 3, "b": 2, "c": 2, "d": 1, "e": 2, "f": 2}
    assert sites(queue.claim(q=Want(1, held=held))) == ["d"]


def test_what_is_due_is_claimed_and_the_next_due_told(queue: Queue) -> None:
    queue.enqueue("alpha", not_before=NOW + 5)
    queue.enqueue("beta", not_before=NOW + 60)
    assert queue.claim(q=Want(10)).next_due == 5.0
    claim = queue.claim(NOW + 5, q=Want(10))
    assert (sites(claim), claim.next_due) == (["alpha"], 55.0)


def test_more_than_are_made_ready_at_once_are_due_at_once(queue: Queue) -> None:
    queue.enqueue("alpha", PROMOTED_AT_ONCE + 10, not_before=NOW - 1)
    claim = queue.claim(q=Want(5))
    assert (len(claim.jobs), claim.next_due) == (5, 0.0)
    assert len(queue.claim(q=Want(PROMOTED_AT_ONCE + 10)).jobs) == PROMOTED_AT_ONCE + 5


def test_an_owner_that_is_not_registered_gets_nothing(queue: Queue) -> None:
    queue.enqueue("alpha")
    queue.owner += 1
    with pytest.raises(LeaseLost):
        queue.claim(q=Want(1))


@pytest.mark.parametrize("ordered", [False, True])
def test_no_claim_scans_or_sorts_the_table(queue: Queue, ordered: bool) -> None:
    seen: list[str] = []
    queue.enqueue("alpha", 3)
    with queue.database.file.transaction() as connection:
        connection.set_trace_callback(seen.append)
        queue.fair_claim.claim(connection, queue.owner, {"q": Want(5, ordered=ordered)}, NOW)
        connection.set_trace_callback(None)
        plans = [row[3] for sql in seen for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert any("job_ready" in step for step in plans)
    assert not [step for step in plans if step == "SCAN job" or "AUTOMATIC" in step]


def test_a_claim_reads_little_more_than_it_takes_where_many_sites_offer_much(queue: Queue) -> None:
    for number in range(50):
        queue.enqueue(f"site{number}", 50)
    queue.claim(q=Want(50))
    _, many = queue.cost(q=Want(50))
    queue.enqueue("flood", 200, queue="r")
    queue.claim(r=Want(50))
    _, one = queue.cost(r=Want(50))
    assert many < 3 * one


def test_a_site_that_is_left_alone_is_given_the_whole_room_at_once(queue: Queue) -> None:
    for number in range(50):
        queue.enqueue(f"site{number}")
    queue.enqueue("long", 100)
    assert len(queue.claim(q=Want(51)).jobs) == 51
    assert sites(queue.claim(q=Want(50))) == ["long"] * 50


def test_the_room_is_evened_out_though_some_sites_have_more_than_their_share_to_catch_up(queue: Queue) -> None:
    for number in range(4):
        queue.enqueue(f"site{number}", 50)
    queue.claim(q=Want(4))
    claim = queue.claim(q=Want(20, {"site0": 20, "site1": 20, "site2": 20}))
    assert Counter(sites(claim)) == {"site3": 20}


def test_where_some_in_a_row_will_do_a_claim_takes_them_of_fewer_sites_and_the_next_goes_on_behind(
    queue: Queue,
) -> None:
    queue.database.enqueue([Job(f"{n}-{site}", f"site{site:02}", "q", b"") for n in range(5) for site in range(20)])
    claims = [Counter(sites(queue.claim(q=Want(40, burst=4)))) for _ in range(2)]
    assert claims == [{f"site{n:02}": 4 for n in range(10)}, {f"site{n:02}": 4 for n in range(10, 20)}]
    last = Counter(sites(queue.claim(q=Want(40, burst=4))))
    assert last == {f"site{n:02}": 1 for n in range(20)}  # of more sites, since these have no more


def test_some_in_a_row_spare_a_claim_the_most_of_its_seeks(queue: Queue) -> None:
    queue.database.enqueue([Job(f"{n}-{site}", f"site{site}", "q", b"") for n in range(20) for site in range(200)])
    queue.claim(q=Want(100))
    _, one_each = queue.cost(q=Want(100))
    queue.claim(q=Want(100, burst=4))
    statements, burst = queue.cost(q=Want(100, burst=4))
    assert burst < 0.75 * one_each
    assert statements <= 6


def test_who_holds_nothing_is_given_the_most_though_some_in_a_row_will_do(queue: Queue) -> None:
    for number in range(8):
        queue.enqueue(f"site{number}", 50)
    held = {f"site{number}": 20 for number in range(7)}
    assert Counter(sites(queue.claim(q=Want(20, held, burst=4)))) == {"site7": 20}
