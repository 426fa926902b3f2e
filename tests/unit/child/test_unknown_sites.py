"""Asking for sites that jobs belong to and that are not configured."""

from __future__ import annotations

from twisted.internet.task import Clock

from snqd.child.unknown_sites import MOST_TOLD, TELL_EVERY, UnknownSites


def test_it_asks_at_once_and_then_once_a_second_at_most() -> None:
    clock = Clock()
    asked: list[float] = []
    missed = UnknownSites(clock, lambda: asked.append(clock.seconds()))
    for _ in range(20):
        missed.missed("alpha")
        missed.missed("beta")
        clock.advance(0.25)
    assert asked == [0, 1, 2, 3, 4]


def test_each_site_is_told_of_once_in_a_while(logged: list[str]) -> None:
    clock = Clock()
    missed = UnknownSites(clock, lambda: None)
    for _ in range(3):
        missed.missed("alpha")
        missed.missed("beta")
        clock.advance(1)
    assert logged == [
        "warn: site alpha is not configured: its jobs wait until it is",
        "warn: site beta is not configured: its jobs wait until it is",
    ]
    clock.advance(TELL_EVERY)
    missed.missed("alpha")
    assert len(logged) == 3


def test_names_without_end_take_no_memory_without_end() -> None:
    missed = UnknownSites(Clock(), lambda: None)
    for number in range(3 * MOST_TOLD):
        missed.missed(f"s{number}")
    assert len(missed._told) <= MOST_TOLD
