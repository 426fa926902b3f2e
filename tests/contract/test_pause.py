"""What every store promises of pauses: what is paused is handed out by nobody until it is resumed."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from snqd.stores.interface import Pauses, Promise, Want

PAUSES = [
    ("q", None, Pauses(queues=frozenset({"q"})), [("r", "alpha"), ("r", "beta")]),
    (None, "alpha", Pauses(sites=frozenset({"alpha"})), [("q", "beta"), ("r", "beta")]),
    ("q", "alpha", Pauses(shares=frozenset({("q", "alpha")})), [("q", "beta"), ("r", "alpha"), ("r", "beta")]),
]


@pytest.mark.promised(Promise.WAKES_ALL)
@pytest.mark.parametrize(("queue", "site", "pauses", "left"), PAUSES, ids=["queue", "site", "share"])
@ensureDeferred
async def test_what_is_paused_is_not_handed_out_by_any_process_until_resumed(
    bench: Any, queue: str | None, site: str | None, pauses: Pauses, left: list[tuple[str, str]]
) -> None:
    one, two = await bench.process(), await bench.process()
    await one.enqueue(*(bench.job(site, queue) for queue in ("q", "r") for site in ("alpha", "beta")))
    await one.store.pause(queue, site, True)
    await one.store.pause(queue, site, True)
    assert await two.store.pauses() == pauses
    await bench.close(one)
    three = await bench.process()
    assert await three.store.pauses() == pauses
    wants = {"q": Want(10), "r": Want(10)}
    taken = (await three.store.claim(wants)).jobs + (await two.store.claim(wants)).jobs
    assert sorted((each.job.queue, each.job.site) for each in taken) == left
    woken = two.woken()
    await three.store.pause(queue, site, False)
    await woken
    assert await two.store.pauses() == Pauses()
    assert len((await two.store.claim(wants)).jobs) == 4 - len(left)
