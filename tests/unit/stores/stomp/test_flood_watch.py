"""What is taken for a flood, and for how long."""

from __future__ import annotations

from snqd.stores.interface import Pauses, Want
from snqd.stores.stomp.flood_watch import LOOKS, SIFT_EVERY, SIFT_ROOM, FloodWatch
from tests.unit.stores.stomp.doubles import RouterBench, job

FULL, FREE = {"q": Want(1, full=True)}, {"q": Want(1)}


def bench(**in_hand: int) -> tuple[RouterBench, FloodWatch]:
    """A process whose queue is full, with so many jobs of each site in its hands."""
    made = RouterBench()
    made.arrive(*(job(f"{site}{n}", site) for site, number in in_hand.items() for n in range(number)))
    made.inbox.take("q", Want(1000), Pauses())
    made.main.prefetch = made.main.unsettled = 20
    made.consumer.sources["main"] = made.main
    watch = FloodWatch(made.clock, made.inbox, made.sorter, lambda: made.consumer.sources.values())
    watch.start()
    return made, watch


def looked(made: RouterBench, watch: FloodWatch, *claims: dict[str, Want], taken: int = 0) -> str:
    """The site that floods after these claims, of which each got so many jobs."""
    for wants in claims:
        watch.claimed(wants, taken)
    made.clock.advance(SIFT_EVERY)
    return made.sorter.flooding


def looked_for_long(made: RouterBench, watch: FloodWatch, *claims: dict[str, Want], taken: int = 0) -> str:
    """The same when there were claims like these for as long as it takes to be sure."""
    for _ in range(LOOKS - 1):
        assert looked(made, watch, *claims, taken=taken) == ""
    return looked(made, watch, *claims, taken=taken)


def test_a_site_that_fills_all_slots_of_a_full_queue_floods() -> None:
    made, watch = bench(alpha=9, beta=1)
    made.arrive(*(job(f"more{n}") for n in range(15)))
    assert looked_for_long(made, watch, FULL) == "alpha"
    assert (made.sorter.kept, len(made.waiting()), len(made.sender.sent)) == (10, 10, 5)
    assert made.main.prefetch == 10 + SIFT_ROOM


def test_jobs_that_take_no_time_are_no_flood() -> None:
    made, watch = bench(alpha=10)
    assert looked_for_long(made, watch, FULL, FREE, FULL) == ""


def test_sites_that_share_the_slots_do_not_flood() -> None:
    made, watch = bench(alpha=8, beta=2)
    assert looked_for_long(made, watch, FULL) == ""


def test_a_queue_with_nothing_more_to_come_is_no_flood() -> None:
    made, watch = bench(alpha=10)
    made.main.unsettled = 19
    assert looked_for_long(made, watch, FULL) == ""


def test_a_flood_goes_on_over_single_free_slots_and_ends_when_most_claims_find_some() -> None:
    made, watch = bench(alpha=10)
    assert looked_for_long(made, watch, FULL) == "alpha"
    assert looked(made, watch, FREE, FULL) == "alpha"
    assert looked(made, watch, FREE, FREE, FULL) == ""


def test_jobs_that_are_done_as_fast_as_they_could_be_moved_stay() -> None:
    made, watch = bench(alpha=10)
    enough = round(made.consumer.dialect.moves * SIFT_EVERY)
    assert looked_for_long(made, watch, FULL, taken=enough) == ""
    assert looked(made, watch, FULL, taken=enough - 1) == "alpha"
    assert looked(made, watch, FULL, taken=enough) == "alpha"


def test_a_process_must_be_busy_for_long_to_know() -> None:
    made, watch = bench(alpha=10)
    for _ in range(LOOKS - 1):
        assert looked(made, watch, FULL) == ""
    assert looked(made, watch, FREE, FREE) == ""
    assert looked_for_long(made, watch, FULL) == "alpha"
