"""RabbitMQ's memory alarm stops those who send: that is told, what is accepted is done, and all goes on afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from snqd.core.errors import Unconfirmed
from snqd.stores.stomp import blocking
from tests.servers.rabbitmq import RabbitMq

MANY = 1000
"""More than RabbitMQ takes at once from a connection that it is going to block."""


@pytest.fixture
def rabbit(broker: RabbitMq) -> Iterator[RabbitMq]:
    """The broker, with no alarm at the end."""
    yield broker
    broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")


@pytest.mark.parametrize("broker", [RabbitMq], indirect=True, ids=lambda kind: kind.name)
def test_a_memory_alarm_is_told_to_all_who_send_and_nothing_is_lost(
    farm_on: Callable[..., Farm], rabbit: RabbitMq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "CONFIRM_TIMEOUT", 2.0)
    farm = farm_on("farm")
    farm.start()
    queue = connect(farm.config)
    queue.enqueue("alpha", "note", {}, id="before")
    rabbit.ctl("set_vm_memory_high_watermark", "0.0001")
    wait_until(lambda: "memory" in rabbit.ctl("eval", "rabbit_alarm:get_alarms()."), 10, "the alarm")
    # RabbitMQ takes what comes first over a connection, and confirms it; then it reads nothing more from that.
    queue.enqueue("alpha", "note", {}, id="first")
    since = time.monotonic()
    with pytest.raises(Unconfirmed, match="has not confirmed 5 of 5 messages within 2 s: a memory or disk al") as told:
        queue.enqueue_many(("alpha", "note", {}, 0.0, f"blocked-{n}") for n in range(5))
    assert time.monotonic() - since < 5
    assert (told.value.accepted, told.value.unknown) == ([], [f"blocked-{n}" for n in range(5)])
    with pytest.raises(Unconfirmed) as told:
        connect(farm.config).enqueue_many(("alpha", "note", {}, 0.0, f"many-{n}") for n in range(MANY))
    some, rest = len(told.value.accepted), len(told.value.unknown)
    assert (some > 0, rest > 0, some + rest) == (True, True, MANY)
    assert len(farm.journal.handled("note")) <= some + 2
    stuck = re.compile(r"has confirmed none of \d+ messages for \d+ s, and they wait")
    farm.enqueue("alpha", "chain", '{"notes": 30}')
    farm.enqueue("alpha", "chain", '{"notes": 30}')
    wait_until(lambda: stuck.search(farm.log()), 30, "a line about the broker")
    assert len(farm.journal.handled("chain")) == 2
    troubles = [child["trouble"] for group in farm.status()["groups"] for child in group["children"]]
    assert any(trouble and "confirms nothing that it is sent" in trouble for trouble in troubles)
    assert "store away for " in farm.snqctl("status").stdout
    rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    wait_until(lambda: len(farm.journal.handled("note")) == 67 + MANY, 30, "the end of all jobs")
    assert "takes messages again" in farm.log()
    assert farm.stop() == 0
    assert farm.dead() == []
    assert len(stuck.findall(farm.log())) <= 2
