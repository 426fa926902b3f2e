"""The system's clock is set while a daemon runs: nothing that it measures changes, only the dates that it shows."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGABRT
from typing import Any

import pytest

from snqd.daemon.systemd import Manager, SdNotify, SystemdNotices
from tests.unit.dates import START, STEPS

pytestmark = pytest.mark.parametrize("step", STEPS)


def test_a_child_that_hangs_is_ended_in_time_and_one_that_beats_is_not(stage: Any, step: float) -> None:
    s = stage(threads=2).started_ready()
    hung, well = s.reactor.processes
    s.dates.step(step)
    for _ in range(13):
        well.child.beat()
        s.reactor.advance(1)
    assert hung.signals[:1] == [SIGABRT]
    assert well.signals == []
    hung.exits(killed_by=SIGABRT)


def test_a_child_that_died_is_replaced_and_its_successor_counts_on(stage: Any, step: float) -> None:
    s = stage().started_ready()
    s.reactor.processes[0].child.beat([["q", "alpha", 0, 5, 0, 0, 0.1]])
    s.dates.step(step)
    s.reactor.processes[0].exits(killed_by=9)
    s.seconds(1)
    successor = s.reactor.processes[1]
    successor.child.ready()
    successor.child.beat([["q", "alpha", 0, 7, 0, 0, 0.1]])
    assert s.status()["counters"] == [["q", "alpha", 0, 12, 0, 0, 0, pytest.approx(1.2, rel=0.2)]]
    assert len(s.reactor.living) == 1


def test_status_shows_dates_by_the_clock_of_their_time(stage: Any, step: float) -> None:
    s = stage().started_ready()
    s.dates.step(step)
    s.reactor.processes[0].child.report_answer = {"report": {"trouble": "the store is away"}, "counters": []}
    status = s.status()
    (child,) = status["groups"][0]["children"]
    assert (status["daemon"]["started"], child["started"]) == (START, START)
    assert child["trouble_since"] == START + step


def test_a_stop_takes_no_longer(stage: Any, step: float) -> None:
    s = stage().started_ready()
    stopped = s.stop()
    s.dates.step(step)
    s.seconds(30)
    (process,) = s.reactor.living
    assert process.signals, "a child that does not leave is ended after drain_timeout"
    process.exits(killed_by=9)
    assert stopped.called


def test_systemd_goes_on_hearing_of_progress(stage: Callable[..., Any], step: float) -> None:
    s = stage().started_ready()
    sent: list[bytes] = []
    notify = SdNotify(Manager("/run/notify", 3.0), lambda data, address: sent.append(data))
    notices = SystemdNotices(s.reactor, s.daemon, notify)
    notices.startService()
    s.dates.step(step)
    sent.clear()
    for _ in range(5):
        s.reactor.processes[0].child.beat()
        s.reactor.advance(1)
    notices.stopService()
    assert sent.count(b"WATCHDOG=1") >= 5
