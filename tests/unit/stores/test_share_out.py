"""Sharing out the room of one claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snqd.stores.share_out import share_out

sites = st.sampled_from("abcdefghij")
offers = st.dictionaries(sites, st.lists(st.integers(), max_size=12)).map(lambda offers: list(offers.items()))
held = st.dictionaries(sites, st.integers(0, 12))
rooms = st.integers(0, 60)


@given(room=rooms, offers=offers, held=held)
def test_it_takes_what_there_is_room_for_and_no_more(
    room: int, offers: list[tuple[str, list[int]]], held: dict[str, int]
) -> None:
    taken = share_out(room, offers, held)
    assert sum(map(len, taken.values())) == min(room, sum(len(keys) for _, keys in offers))


@given(room=rooms, offers=offers, held=held)
def test_each_site_gives_its_first_ones_in_their_order(
    room: int, offers: list[tuple[str, list[int]]], held: dict[str, int]
) -> None:
    for site, keys in share_out(room, offers, held).items():
        assert keys
        assert keys == dict(offers)[site][: len(keys)]


@given(room=rooms, offers=offers, held=held)
def test_no_site_is_served_while_another_that_has_jobs_left_would_hold_less(
    room: int, offers: list[tuple[str, list[int]]], held: dict[str, int]
) -> None:
    taken = share_out(room, offers, held)
    levels = {site: held.get(site, 0) + len(taken.get(site, [])) for site, _ in offers}
    hungry = [levels[site] for site, keys in offers if len(taken.get(site, [])) < len(keys)]
    for site in taken:
        assert levels[site] <= min(hungry, default=levels[site]) + 1


@given(room=rooms, offers=offers)
def test_of_equals_the_earlier_has_the_odd_job(room: int, offers: list[tuple[str, list[int]]]) -> None:
    taken = share_out(room, offers, {})
    unsated = [len(taken.get(site, [])) for site, keys in offers if len(taken.get(site, [])) < len(keys)]
    assert unsated == sorted(unsated, reverse=True)


def test_what_is_held_counts() -> None:
    offers = [("loud", [1, 2, 3]), ("quiet", [4, 5, 6])]
    assert share_out(4, offers, {"loud": 2}) == {"quiet": [4, 5, 6], "loud": [1]}


def test_it_goes_on_with_those_that_have_jobs_left() -> None:
    assert share_out(5, [("a", [1]), ("b", [2, 3, 4, 5, 6])], {}) == {"a": [1], "b": [2, 3, 4, 5]}


def test_no_room_takes_nothing() -> None:
    assert share_out(0, [("a", [1])], {}) == {}
