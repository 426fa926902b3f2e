"""What was built for a site that has no jobs goes again."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from snqd.child.idle_sites import IDLE_AFTER, IdleSites


class Tidied:
    def __init__(self) -> None:
        self.calls = 0

    def forget_idle(self) -> None:
        self.calls += 1

    close_idle = forget_idle


def test_sites_and_handlers_are_tidied_up_every_few_minutes_until_the_end() -> None:
    clock = Clock()
    sites: Any = Tidied()
    handlers: Any = Tidied()
    manager = IdleSites(clock, sites, handlers)
    manager.startService()
    before = sites.calls
    clock.pump([IDLE_AFTER] * 3)
    assert (sites.calls, handlers.calls) == (before + 3, before + 3)
    manager.stopService()
    assert clock.getDelayedCalls() == []
