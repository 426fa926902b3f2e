"""A call that is made again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from snqd.pipe.periodic import PeriodicCall


def raises() -> None:
    raise KeyError("broken")


async def breaks() -> None:
    raise KeyError("broken")


@pytest.mark.parametrize("call", [raises, breaks, lambda: fail(KeyError("broken"))])
def test_a_call_that_fails_is_told_and_made_again(call: Callable[[], Any], logged: list[str]) -> None:
    clock, calls = Clock(), list[float]()

    def made() -> Any:
        calls.append(clock.seconds())
        return call()

    periodic = PeriodicCall(clock, made)
    periodic.start(1.0, now=False)
    clock.pump([1.0] * 3)
    assert calls == [1.0, 2.0, 3.0]
    assert len([line for line in logged if line.startswith("critical: a periodic call broke")]) == 3
    periodic.stop()
    assert clock.getDelayedCalls() == []


def test_the_next_call_waits_for_the_end_of_the_one_before() -> None:
    clock, waits = Clock(), list[Deferred[None]]()

    def made() -> Deferred[None]:
        waits.append(Deferred())
        return waits[-1]

    periodic = PeriodicCall(clock, made)
    periodic.start(1.0)
    clock.pump([1.0] * 3)
    assert len(waits) == 1
    waits[0].callback(None)
    clock.advance(1.0)
    assert len(waits) == 2
    periodic.stop()
