"""Which children hang."""

from __future__ import annotations

from snqd.daemon.hang_watch import HangWatch


def test_a_child_without_a_heartbeat_for_the_timeout_hangs() -> None:
    watch = HangWatch(3, now=0)
    found = []
    for now in range(1, 6):
        watch.look(now)
        found.append(watch.silence(last_beat=1))
    assert found == [None, None, None, None, 4]


def test_a_watcher_that_was_stopped_gives_every_child_its_whole_time_again() -> None:
    watch = HangWatch(3, now=0)
    watch.look(1)
    watch.look(100)
    assert watch.silence(last_beat=1) is None
    watch.look(103)
    assert watch.silence(last_beat=1) is None
    watch.look(104)
    assert watch.silence(last_beat=1) == 4


def test_a_clock_that_is_set_back_hangs_nobody() -> None:
    watch = HangWatch(3, now=1000)
    watch.look(500)
    assert watch.silence(last_beat=1000) is None
    watch.look(504)
    assert watch.silence(last_beat=500) == 4
