"""What every store promises of depths: what waits, is delayed and is in flight, by queue and site."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from snqd.stores.interface import Promise
from tests.contract.bench import suspects


@pytest.mark.promised(Promise.DEPTHS)
@ensureDeferred
async def test_depths_count_what_waits_is_delayed_and_in_flight(bench: Any) -> None:
    await suspects(bench, "q")
    one = await bench.process()
    now = reactor.seconds()
    await one.enqueue(*(bench.job(created=now - 100 + n) for n in range(5)))
    await one.claim(1)
    await one.enqueue(bench.job(not_before=now + 500), bench.job("beta", "r", created=now - 7))
    await one.enqueue(bench.job("gamma", not_before=now + 500))
    depths = {(depth.queue, depth.site): depth for depth in await one.store.depths()}
    counts = {key: (depth.waiting, depth.delayed, depth.in_flight) for key, depth in depths.items()}
    assert counts == {("q", "alpha"): (5, 1, 1), ("r", "beta"): (1, 0, 0), ("q", "gamma"): (0, 1, 0)}
    assert depths["q", "alpha"].oldest_age == pytest.approx(99, abs=60)
    assert depths["q", "alpha"].oldest_age > depths["r", "beta"].oldest_age >= 7
    assert depths["q", "gamma"].oldest_age is None
