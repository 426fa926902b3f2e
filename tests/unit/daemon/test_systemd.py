"""When systemd is told what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from snqd.daemon.child_slot import ABORT_GRACE
from snqd.daemon.queue_daemon import BEYOND_HELP
from snqd.daemon.systemd import STATUS_EVERY, Manager, SdNotify, SystemdNotices


class Daemon:
    """A daemon in any state."""

    settled = False
    stopping = False
    progressing = True
    text = "starting"

    def summary(self) -> str:
        return self.text


class Told:
    """:ivar messages: what systemd has heard."""

    def __init__(self, daemon: Any, clock: Clock, watchdog: float = 0.0) -> None:
        self.messages: list[str] = []
        notify = SdNotify(Manager("/n", watchdog), lambda data, address: self.messages.append(data.decode()))
        self.notices = SystemdNotices(clock, daemon, notify)
        self.notices.startService()

    def heard(self, beginning: str) -> list[str]:
        return [message for message in self.messages if message.startswith(beginning)]

    def states(self) -> list[str]:
        """What was told of the daemon's state."""
        return [message.partition("\n")[0] for message in self.messages if not message.startswith("STATUS")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_ready_is_told_once_when_every_group_is_settled(clock: Clock) -> None:
    daemon = Daemon()
    told = Told(daemon, clock)
    clock.pump([1] * 5)
    assert told.heard("READY") == []
    daemon.settled = True
    clock.pump([1] * 5)
    assert told.heard("READY") == ["READY=1"]


def test_stopping_is_told_once(clock: Clock) -> None:
    daemon = Daemon()
    told = Told(daemon, clock)
    daemon.settled = daemon.stopping = True
    clock.pump([1] * 3)
    assert told.heard("STOPPING") == ["STOPPING=1"]
    assert told.heard("READY") == []


def test_reloads_are_told_from_the_first_ones_beginning_to_the_last_ones_end(clock: Clock) -> None:
    daemon = Daemon()
    daemon.settled = True
    told = Told(daemon, clock)
    told.notices.reloading()
    told.notices.reloading()
    clock.pump([1] * 5)
    told.notices.reloaded()
    clock.pump([1] * 5)
    assert told.states() == ["READY=1", "RELOADING=1"]
    told.notices.reloaded()
    assert told.states() == ["READY=1", "RELOADING=1", "READY=1"]
    (reloading,) = told.heard("RELOADING")
    assert int(reloading.partition("MONOTONIC_USEC=")[2]) > 0


def test_a_reload_during_the_start_or_the_stop_changes_neither(clock: Clock) -> None:
    daemon = Daemon()
    told = Told(daemon, clock)
    told.notices.reloading()
    told.notices.reloaded()
    assert told.states() == []
    daemon.settled = True
    clock.advance(1)
    told.notices.reloading()
    daemon.stopping = True
    clock.advance(1)
    told.notices.reloaded()
    assert told.states() == ["READY=1", "RELOADING=1", "STOPPING=1"]


def test_the_status_is_told_when_it_changes_and_not_too_often(clock: Clock) -> None:
    daemon = Daemon()
    told = Told(daemon, clock)
    for number in range(int(STATUS_EVERY * 2) + 1):
        daemon.text = f"{number} jobs"
        clock.advance(1)
    assert told.heard("STATUS") == ["STATUS=starting", "STATUS=4 jobs", "STATUS=9 jobs"]
    clock.pump([1] * 20)
    assert told.heard("STATUS")[3:] == ["STATUS=10 jobs"]


def test_the_watchdog_hears_of_progress_only(clock: Clock) -> None:
    daemon = Daemon()
    told = Told(daemon, clock, watchdog=30)
    clock.pump([1] * 30)
    assert len(told.heard("WATCHDOG=1")) == 4
    daemon.progressing = False
    clock.pump([1] * 60)
    assert len(told.heard("WATCHDOG=1")) == 4
    daemon.progressing = True
    clock.advance(1)
    assert len(told.heard("WATCHDOG=1")) == 5


def test_a_watchdog_that_is_not_wanted_hears_nothing(clock: Clock) -> None:
    told = Told(Daemon(), clock)
    clock.pump([1] * 60)
    assert told.heard("WATCHDOG") == []


def test_nothing_goes_on_after_the_stop_or_without_a_manager(clock: Clock) -> None:
    told = Told(Daemon(), clock)
    told.notices.stopService()
    SystemdNotices(clock, Daemon(), SdNotify(Manager())).startService()
    assert not clock.getDelayedCalls()


def test_a_daemon_is_settled_when_its_groups_are_up_or_failed(stage: Callable[..., Any]) -> None:
    s = stage("[handlers]\nmail = exec: true\n[group:xmpp]\nqueues = mail\nexclusive = yes\n").start()
    assert not s.daemon.settled
    s.reactor.named("t.main.1").child.ready()
    assert not s.daemon.settled
    s.reactor.named("t.xmpp.1").exits(1)
    assert s.daemon.settled
    assert s.daemon.summary() == "1 of 2 children up, 0 jobs running, 0.0/s; failed: xmpp (see the log)"
    s.reactor.named("t.main.1").child.beat(trouble="no connection")
    assert s.daemon.summary().startswith("1 of 2 children up (1 with its store away), 0 jobs")
    assert not s.daemon.stopping
    s.stop()
    assert s.daemon.stopping
    assert s.daemon.summary().startswith("stopping")
    s.reactor.named("t.main.1").exits(0)


def test_a_child_that_hangs_and_does_not_die_is_no_progress(stage: Callable[..., Any]) -> None:
    s = stage().started_ready()
    s.seconds(int(10 + ABORT_GRACE + 1))
    assert s.daemon.progressing
    s.seconds(int(BEYOND_HELP))
    assert not s.daemon.progressing
    s.reactor.living[0].exits(killed_by=9)
    assert s.daemon.progressing
