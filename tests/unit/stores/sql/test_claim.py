"""Fair claims on a server: quotas, further rounds, cursors, and what is due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from snqd.core.job import Job
from snqd.stores.interface import Claim, Claimed, Receipt, Want
from snqd.stores.sql.claim import SqlFairClaim
from snqd.stores.sql.statements import Outlook, Walk

CONNECTION: Any = object()


class Backlog:
    """Statements on lists: `jobs` by site, all of one queue."""

    def __init__(self, **jobs: int) -> None:
        self.jobs = {site: list(range(number)) for site, number in jobs.items()}
        self.due: float | None = None
        self.promoted: list[float] = []
        self.walks: list[Walk] = []
        self.quotas: list[dict[str, int]] = []
        self.alone_calls = 0

    def outlook(self, connection: Any, walks: Sequence[Walk]) -> Outlook:
        self.walks += walks
        sites = {}
        for walk in walks:
            behind = [site for site in sorted(self.jobs) if self.jobs[site] and site > walk.after]
            before = [site for site in sorted(self.jobs) if self.jobs[site] and site <= walk.after]
            sites[walk.queue] = [*behind, *before][: walk.limit]
        return Outlook(1000.0, self.due, frozenset({"sick"}), sites)

    def promote(self, connection: Any, now: float) -> None:
        self.promoted.append(now)
        self.due = None

    def take(self, connection: Any, owner: int, queue: str, quotas: Mapping[str, int]) -> dict[str, list[Claimed]]:
        self.quotas.append(dict(quotas))
        taken = {}
        for site, most in quotas.items():
            keys, self.jobs[site] = self.jobs[site][:most], self.jobs[site][most:]
            taken[site] = [Claimed(Job(f"{site}-{key}", site, queue, b""), Receipt(key, owner)) for key in keys]
        return {site: jobs for site, jobs in taken.items() if jobs}

    def take_solo(self, connection: Any, owner: int, queues: Collection[str]) -> list[Claimed]:
        return [Claimed(Job("suspect", "alpha", "q", b"", solo=True), Receipt(1, owner))]

    def alone(self, connection: Any) -> None:
        self.alone_calls += 1


def claim(fair: SqlFairClaim, room: int, **want: Any) -> Claim:
    return fair.claim(CONNECTION, 7, {"q": Want(room, **want)})


def by_site(claim: Claim) -> dict[str, int]:
    sites = [claimed.job.site for claimed in claim.jobs]
    return {site: sites.count(site) for site in sites}


def test_room_is_shared_out_evenly_in_one_round_where_all_have_enough() -> None:
    backlog = Backlog(a=100, b=100, c=100)
    assert by_site(claim(SqlFairClaim(backlog), 9)) == {"a": 3, "b": 3, "c": 3}
    assert len(backlog.quotas) == 1


def test_what_a_site_lacks_goes_to_others_in_further_rounds() -> None:
    backlog = Backlog(a=1, b=2, c=100)
    assert by_site(claim(SqlFairClaim(backlog), 30)) == {"a": 1, "b": 2, "c": 27}
    assert backlog.quotas[0] == {"a": 10, "b": 10, "c": 10}
    assert backlog.quotas[1:] == [{"c": 17}]


def test_what_is_held_already_counts() -> None:
    assert by_site(claim(SqlFairClaim(Backlog(a=10, b=10)), 6, held={"a": 4})) == {"a": 1, "b": 5}


def test_a_claim_ends_where_everything_is_taken() -> None:
    assert by_site(claim(SqlFairClaim(Backlog(a=2, b=1)), 50)) == {"a": 2, "b": 1}


def test_the_next_claim_goes_on_behind_the_site_that_was_served_last() -> None:
    backlog = Backlog(**{f"s{n}": 2 for n in range(12)})
    fair = SqlFairClaim(backlog)
    turns = [by_site(claim(fair, 1)) for _ in range(12)]
    assert [*{site for turn in turns for site in turn}] != []
    assert sorted(site for turn in turns for site in turn) == sorted(f"s{n}" for n in range(12))
    assert [walk.after for walk in backlog.walks[:3]] == ["", "s0", "s1"]


def test_an_ordered_queue_takes_one_of_each_site_while_nobody_else_does() -> None:
    backlog = Backlog(a=5, b=5)
    assert by_site(claim(SqlFairClaim(backlog), 10, ordered=True)) == {"a": 1, "b": 1}
    assert (len(backlog.quotas), backlog.alone_calls) == (1, 1)
    assert backlog.walks[0].ordered


def test_nothing_is_looked_for_without_room() -> None:
    backlog = Backlog(a=5)
    assert claim(SqlFairClaim(backlog), 0) == Claim([], None, frozenset({"sick"}))
    assert (backlog.walks, backlog.alone_calls) == ([], 0)


@pytest.mark.parametrize(("due", "promoted"), [(999.0, [1000.0]), (1000.0, [1000.0]), (1001.5, [])])
def test_what_is_due_is_made_ready_first(due: float, promoted: list[float]) -> None:
    backlog = Backlog()
    backlog.due = due
    result = claim(SqlFairClaim(backlog), 1)
    assert backlog.promoted == promoted
    assert result.next_due == (None if promoted else 1.5)


def test_a_suspect_is_taken_while_nobody_else_takes_one() -> None:
    backlog = Backlog()
    result = SqlFairClaim(backlog).claim_solo(CONNECTION, 7, ["q"])
    assert [claimed.job.id for claimed in result.jobs] == ["suspect"]
    assert backlog.alone_calls == 1
