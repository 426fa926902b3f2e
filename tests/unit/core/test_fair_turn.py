"""FairTurn: sites share the handlers' time, whatever their backlogs and however long their jobs take."""

from __future__ import annotations

import heapq
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.fair_turn import FORGET_ABOVE, FairTurn


def everything(queue: str) -> bool:
    return True


def make(weights: dict[str, float] | None = None, queue_weights: dict[str, float] | None = None) -> FairTurn[int]:
    sites, queues = weights or {}, queue_weights or {}
    return FairTurn(lambda site: sites.get(site, 1.0), lambda queue: queues.get(queue, 1.0))


def drain(turns: FairTurn[int], seconds: float = 0.005) -> list[str]:
    sites = []
    while turn := turns.next(everything):
        turns.ended(turn, seconds)
        sites.append(turn.site)
    return sites


def simulate(durations: dict[str, float], slots: int, until: float, weights: dict[str, float] | None = None):
    """Seconds served by site, where each always has work waiting."""
    turns = make(weights)
    for site in durations:
        for number in range(slots):
            turns.add("q", site, number)
    served: Counter[str] = Counter()
    running: list[tuple[float, int, object]] = []
    now, started = 0.0, 0
    while now < until:
        while len(running) < slots:
            turn = turns.next(everything)
            assert turn is not None
            turns.add("q", turn.site, 0)
            started += 1
            heapq.heappush(running, (now + durations[turn.site], started, turn))
        now, _, turn = heapq.heappop(running)
        served[turn.site] += durations[turn.site]
        turns.ended(turn, durations[turn.site])
    return served


def test_a_quiet_site_is_next_however_much_another_has_waiting() -> None:
    turns = make()
    for number in range(1000):
        turns.add("q", "flood", number)
    for _ in range(100):
        turns.ended(turns.next(everything), 0.005)
    turns.add("q", "quiet", 0)
    assert "quiet" in {turns.next(everything).site for _ in range(2)}


def test_equals_take_turns() -> None:
    turns = make()
    for site in "abc":
        for number in range(3):
            turns.add("q", site, number)
    order = drain(turns)
    assert [set(order[at : at + 3]) for at in (0, 3, 6)] == [set("abc")] * 3


def test_seconds_are_shared_and_not_jobs() -> None:
    served = simulate({"long": 10.0, "short": 0.01}, slots=50, until=200)
    assert served["long"] == pytest.approx(served["short"], rel=0.1)


def test_a_site_of_twice_the_weight_gets_twice_the_seconds() -> None:
    served = simulate({"heavy": 0.1, "light": 0.1}, slots=10, until=50, weights={"heavy": 2.0})
    assert served["heavy"] == pytest.approx(2 * served["light"], rel=0.05)


def test_a_hundred_sites_with_different_backlogs_share_alike_while_all_have_work() -> None:
    turns = make()
    for number in range(100):
        for job in range(20 * (number + 1)):
            turns.add("q", f"site{number:03}", job)
    served = Counter(drain_until_one_is_empty(turns))
    total = sum(served.values())
    assert total**2 / (100 * sum(number**2 for number in served.values())) > 0.99


def drain_until_one_is_empty(turns: FairTurn[int]) -> list[str]:
    sites = []
    while len(turns.waiting_by_site("q")) == 100:
        turn = turns.next(everything)
        turns.ended(turn, 0.005)
        sites.append(turn.site)
    return sites


def test_who_comes_back_from_a_pause_has_saved_up_nothing() -> None:
    turns = make()
    turns.add("q", "idler", 0)
    drain(turns)
    for number in range(500):
        turns.add("q", "busy", number)
    for _ in range(200):
        turns.ended(turns.next(everything), 0.005)
    for number in range(100):
        turns.add("q", "idler", number)
    assert Counter(drain(turns)[:100])["idler"] == pytest.approx(50, abs=2)


def test_who_used_idle_capacity_pays_nothing_for_it() -> None:
    turns = make()
    for number in range(1000):
        turns.add("q", "busy", number)
    for _ in range(900):
        turns.ended(turns.next(everything), 60.0)
    for number in range(100):
        turns.add("q", "newcomer", number)
    assert Counter(drain(turns, 60.0)[:100])["busy"] == pytest.approx(50, abs=2)


def test_long_jobs_of_one_site_do_not_take_all_slots_before_the_first_is_paid_for() -> None:
    turns = make()
    for site, seconds in (("long", 10.0), ("short", 0.01)):
        turns.add("q", site, 0)
        turns.ended(turns.next(everything), seconds)
    for number in range(50):
        turns.add("q", "long", number)
        turns.add("q", "short", number)
    started = Counter(turns.next(everything).site for _ in range(50))
    assert started["long"] <= 1


def test_a_closed_queue_is_passed_over() -> None:
    turns = make()
    turns.add("full", "a", 1)
    turns.add("open", "b", 2)
    turn = turns.next(lambda queue: queue == "open")
    assert (turn.queue, turn.item) == ("open", 2)
    assert turns.next(lambda queue: queue == "open") is None
    assert turns.next(everything).item == 1


def test_the_queues_of_a_site_share_by_their_weights() -> None:
    turns = make(queue_weights={"main": 3.0})
    for number in range(400):
        turns.add("main", "a", number)
        turns.add("side", "a", number)
    started = Counter()
    for _ in range(200):
        turn = turns.next(everything)
        turns.ended(turn, 0.005)
        started[turn.queue] += 1
    assert started["main"] == pytest.approx(150, abs=3)


def test_what_waits_is_counted_and_can_be_cleared() -> None:
    turns = make()
    turns.add("q", "a", 1)
    turns.add("q", "b", 2)
    turns.add("p", "a", 3)
    assert (len(turns), turns.waiting("q"), turns.waiting_by_site("q")) == (3, 2, {"a": 1, "b": 1})
    assert sorted(turns.clear()) == [1, 2, 3]
    assert len(turns) == 0
    assert turns.next(everything) is None


def test_sites_that_left_nothing_behind_are_forgotten() -> None:
    turns = make()
    for number in range(3 * FORGET_ABOVE):
        turns.add("q", f"site{number}", 0)
        turns.ended(turns.next(everything), 0.0)
    assert len(turns._sites.accounts) <= FORGET_ABOVE + 1


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("abcd"), st.floats(0, 100)), max_size=80))
def test_every_job_has_its_turn_once_and_a_sites_jobs_stay_in_order(jobs) -> None:
    turns: FairTurn[int] = make()
    for number, (queue, site, _) in enumerate(jobs):
        turns.add(queue, site, number)
    taken = []
    while turn := turns.next(everything):
        turns.ended(turn, jobs[turn.item][2])
        taken.append(turn)
    assert sorted(turn.item for turn in taken) == list(range(len(jobs)))
    for key in {(queue, site) for queue, site, _ in jobs}:
        mine = [turn.item for turn in taken if (turn.queue, turn.site) == key]
        assert mine == sorted(mine)


def test_a_job_out_of_turn_is_paid_for_at_its_end() -> None:
    turns: FairTurn[int] = FairTurn(lambda site: 1.0, lambda queue: 1.0)
    turns.add("q", "a", 1)
    turns.add("q", "b", 2)
    turns.ended(turns.out_of_turn("q", "a", 0), 2.0)
    turn = turns.next(lambda queue: True)
    assert turn is not None
    assert turn.site == "b"


def test_a_queue_can_be_taken_out_whole() -> None:
    turns: FairTurn[int] = FairTurn(lambda site: 1.0, lambda queue: 1.0)
    for number, (queue, site) in enumerate([("q", "a"), ("r", "a"), ("q", "b")]):
        turns.add(queue, site, number)
    assert sorted(turns.drop("q")) == [0, 2]
    assert turns.drop("q") == []
    assert len(turns) == 1
    turn = turns.next(lambda queue: True)
    assert turn is not None
    assert turn.item == 1


def left_of(turns: FairTurn[int], of_queue: str) -> dict[str, list[int]]:
    return {site: list(items) for queue, site, items in turns.shares() if queue == of_queue}


def test_a_queue_is_shrunk_evenly_and_from_its_end() -> None:
    turns = make()
    for site, number in {"flood": 10, "middle": 4, "quiet": 1}.items():
        for item in range(number):
            turns.add("q", site, item)
    turns.add("other", "flood", 99)
    taken = turns.shrink("q", 7)
    assert left_of(turns, "q") == {"flood": [0, 1, 2], "middle": [0, 1, 2], "quiet": [0]}
    assert taken == [3, 9, 8, 7, 6, 5, 4, 3]
    assert (turns.waiting("q"), len(turns), turns.queues()) == (7, 8, ["q", "other"])


def test_what_is_left_of_a_shrunk_queue_has_its_turns() -> None:
    turns = make()
    for site in "abcdef":
        turns.add("q", site, 0)
        turns.add("q", site, 1)
    for _ in range(2):
        turns.ended(turns.next(everything), 1.0)
    taken = turns.shrink("q", 3)
    assert len(taken) == 7
    left = drain(turns)
    assert len(left) == 3
    assert not {"a", "b"} & set(left)  # they have used something, so others are behind them
    assert turns.shrink("q", 0) == turns.shrink("unknown", 0) == []


def test_shares_can_be_taken_out_by_queue_and_site() -> None:
    turns = make()
    for queue in ("q", "r"):
        for site in ("a", "b"):
            turns.add(queue, site, 1)
            turns.add(queue, site, 2)
    assert turns.withdraw(lambda queue, site: (queue, site) == ("q", "a")) == [2, 1]
    assert turns.waiting("q") == 2
    assert sorted(drain(turns)) == ["a", "a", "b", "b", "b", "b"]
    assert len(turns) == 0


def test_a_job_that_runs_is_paid_for_while_it_runs() -> None:
    turns = make()
    for site in ("long", "short"):
        for number in range(10):
            turns.add("q", site, number)
    running = turns.next(everything)
    assert running is not None
    assert running.site == "long"
    turns.charge_so_far(running, 0.5)
    turns.charge_so_far(running, 3.0)
    for _ in range(3):
        turn = turns.next(everything)
        assert turn.site == "short"
        turns.ended(turn, 0.9)
    turns.ended(running, 3.0)
    turns.ended(turns.next(everything), 0.9)
    assert turns.next(everything).site == "long"
