"""When a manager is polled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from snqd.io.io_manager import IoManager
from snqd.io.polling import PollLoop, PollSchedule


def waits(interval: float, *hits: bool) -> list[float]:
    schedule = PollSchedule(interval)
    return [schedule.after(hit) for hit in hits]


def test_misses_wait_twice_as_long_each_time_up_to_the_interval() -> None:
    assert waits(10, *[False] * 6) == [1, 2, 4, 8, 10, 10]


def test_a_hit_polls_again_at_once_and_forgets_the_misses() -> None:
    assert waits(60, False, False, True, True, False, False) == [1, 2, 0, 0, 1, 2]


def test_an_interval_under_a_second_holds_from_the_start() -> None:
    assert waits(0.25, False, False, True, False) == [0.25, 0.25, 0, 0.25]


class Polled(IoManager):
    """Gives the answers, one after the other, then misses."""

    poll_interval = 4

    def __init__(self, *answers: Callable[[], Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.polls: list[float] = []
        self.clock = Clock()
        self.told: list[str] = []

    def poll(self) -> Deferred[bool]:
        self.polls.append(self.clock.seconds())
        return self.answers.pop(0)() if self.answers else succeed(False)

    def loop(self) -> PollLoop:
        note = self.told.append
        loop = PollLoop(self.clock, self, lambda name: note(f"poll {name}"), lambda name: note(f"hit {name}"))
        loop.startService()
        return loop


def fails() -> Any:
    raise RuntimeError("no mail server")


def test_the_loop_follows_the_schedule_and_tells_of_polls_and_hits() -> None:
    manager = Polled(lambda: succeed(True))
    manager.loop()
    manager.clock.pump([0, 0, 1, 1, 1, 1, 1])
    assert manager.polls == [0, 0, 1, 3]
    assert manager.told == ["poll Polled", "hit Polled", "poll Polled", "poll Polled", "poll Polled"]


def test_a_poll_that_raises_is_logged_and_counts_as_a_miss() -> None:
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    manager = Polled(fails, fails)
    manager.loop()
    manager.clock.pump([0, 1, 1, 1])
    globalLogPublisher.removeObserver(events.append)
    assert manager.polls == [0, 1, 3]
    assert [str(event["log_failure"].value) for event in events] == ["no mail server"] * 2


def test_a_poll_is_never_called_twice_at_a_time() -> None:
    slow: Deferred[bool] = Deferred()
    manager = Polled(lambda: slow)
    manager.loop()
    manager.clock.pump([0, 100])
    assert manager.polls == [0]
    slow.callback(True)
    manager.clock.advance(0)
    assert len(manager.polls) == 2


@pytest.mark.parametrize("ending", [True, RuntimeError("lost")])
def test_stop_waits_for_the_poll_under_way_and_polls_no_more(ending: Any) -> None:
    slow: Deferred[bool] = Deferred()
    manager = Polled(lambda: slow)
    loop = manager.loop()
    manager.clock.advance(0)
    stopped = loop.stopService()
    assert stopped is not None
    assert not stopped.called
    if ending is True:
        slow.callback(True)
    else:
        slow.errback(ending)
    assert stopped.called
    assert manager.clock.getDelayedCalls() == []


def test_stop_between_two_polls_leaves_no_timer() -> None:
    manager = Polled()
    loop = manager.loop()
    manager.clock.advance(0)
    loop.stopService()
    assert manager.clock.getDelayedCalls() == []
