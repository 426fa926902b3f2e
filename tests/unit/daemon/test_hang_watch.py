"""Which children hang."""

from __future__ import annotations

from snqd.daemon.hang_watch import BOOT_TIMEOUT, HangWatch


def test_a_child_without_a_heartbeat_for_the_timeout_hangs() -> None:
    watch = HangWatch(3, now=0)
    found = []
    for now in range(1, 6):
        watch.look(now)
        found.append(watch.silence(last_beat=1))
    assert found == [None, None, None, None, 4]


def test_a_child_that_boots_has_longer() -> None:
    watch = HangWatch(3, now=0)
    found = []
    for now in range(1, int(BOOT_TIMEOUT) + 2):
        watch.look(now)
        found.append(watch.silence(last_beat=0, loading=True))
    assert set(found[:-1]) == {None}
    assert found[-1] == BOOT_TIMEOUT + 1


def test_a_timeout_that_is_longer_than_that_of_the_boot_holds_for_the_boot_too() -> None:
    watch = HangWatch(2 * BOOT_TIMEOUT, now=0)
    assert watch.limit(loading=True) == watch.limit(loading=False) == 2 * BOOT_TIMEOUT


def test_a_watcher_that_is_always_slow_finds_a_child_that_does_not_come_up_later() -> None:
    watch = HangWatch(3, now=0)
    found = []
    for now in range(10, 6000, 10):
        watch.look(now)
        found.append(watch.silence(last_beat=0, loading=True))
    assert found.index(BOOT_TIMEOUT + 1) == BOOT_TIMEOUT
    assert all(silence is not None for silence in found[int(BOOT_TIMEOUT) :])


def test_a_watcher_that_was_stopped_forgives_its_children_that_time() -> None:
    watch = HangWatch(3, now=0)
    assert watch.look(1) == 0
    assert watch.look(100) == 98
    assert watch.silence(last_beat=1) is None
    assert watch.silent_for(last_beat=1) == 1
    for now in (101, 102, 103):
        watch.look(now)
    assert watch.silence(last_beat=1) == 4


def test_a_short_stop_is_forgiven_too() -> None:
    watch = HangWatch(2, now=0)
    watch.look(1)
    watch.look(4)
    assert watch.silence(last_beat=0.5) is None


def test_a_watcher_that_is_always_slow_finds_a_hanging_child_later() -> None:
    watch = HangWatch(3, now=0)
    found = []
    for now in range(10, 1000, 10):
        watch.look(now)
        found.append(watch.silence(last_beat=0))
    assert found.index(4.0) == 3
    assert all(silence is not None for silence in found[3:])


def test_a_clock_that_is_set_back_hangs_nobody() -> None:
    watch = HangWatch(3, now=1000)
    watch.look(500)
    assert watch.silence(last_beat=1000) is None
    for now in (501, 502, 503, 504):
        watch.look(now)
    assert watch.silence(last_beat=500) == 4
