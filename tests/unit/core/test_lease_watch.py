"""Who has vanished."""

from __future__ import annotations

from snqd.core.lease_watch import LeaseWatch


def test_one_whose_beat_stays_the_same_is_given_up_after_a_lease_of_looks_beyond_the_first() -> None:
    watch = LeaseWatch(4)
    assert [watch.look([("dead", 7)]) for _ in range(5)] == [[], [], [], [], ["dead"]]


def test_one_that_beats_is_never_given_up() -> None:
    watch = LeaseWatch(4)
    assert [watch.look([("alive", beat)]) for beat in range(1000)] == [[]] * 1000


def test_one_beat_at_the_last_moment_starts_the_lease_anew() -> None:
    watch = LeaseWatch(4)
    for beat in (1, 1, 1, 1, 2, 2, 2, 2):
        assert watch.look([("slow", beat)]) == []
    assert watch.look([("slow", 2)]) == ["slow"]


def test_each_is_watched_for_itself() -> None:
    watch = LeaseWatch(2)
    assert watch.look([("a", 1), ("b", 1)]) == []
    assert watch.look([("a", 1), ("b", 2)]) == []
    assert watch.look([("a", 1), ("b", 2), ("c", 1)]) == ["a"]


def test_one_that_left_and_comes_back_has_a_whole_lease() -> None:
    watch = LeaseWatch(2)
    watch.look([("a", 1)])
    watch.look([("a", 1)])
    assert watch.look([]) == []
    assert [watch.look([("a", 1)]) for _ in range(3)] == [[], [], ["a"]]


def test_one_that_was_given_up_and_registers_again_with_the_same_beat_has_a_whole_lease() -> None:
    watch = LeaseWatch(2)
    assert [watch.look([("a", 0)]) for _ in range(6)] == [[], [], ["a"], [], [], ["a"]]


def test_a_watcher_that_was_stopped_for_an_hour_has_looked_once() -> None:
    watch = LeaseWatch(2)
    assert watch.look([("a", 1)]) == []
    assert watch.look([("a", 1)]) == []  # an hour later, both having been stopped
    assert watch.look([("a", 2)]) == []
