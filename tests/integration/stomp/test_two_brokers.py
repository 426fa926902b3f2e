"""Two brokers of different kinds, one of which is killed in the middle: nothing is lost, and work goes on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, answers, running
from tests.servers.rabbitmq import RabbitMq

Pair = tuple[Broker, Broker]
BATCH = 40
LINES = '{"seconds": 0.02}\n' * BATCH


def address(broker: Broker) -> str:
    return f"tcp://127.0.0.1:{broker.port}"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The one that is killed, and the other; both up at the end."""
    for kind in (ActiveMq, RabbitMq):
        if kind.missing() and not os.environ.get("CI"):
            pytest.skip(f"needs {kind.missing()}")
    both = running(ActiveMq), running(RabbitMq)
    yield both
    for broker in both:
        if not answers(broker.port, broker.username, broker.password):
            broker.start()


@pytest.fixture
def make(pair: Pair, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes the farm on both."""
    farms: list[Farm] = []

    def make(**queue: object) -> Farm:
        section: dict[str, object] = {
            "subsystem": "stomp",
            "stomp_server": ", ".join(map(address, pair)),
            "stomp_username": "guest",
            "stomp_password": "guest",
            "queue_basename": f"/queue/{tmp_path.name}.",
            **queue,
        }
        farms.append(Farm(tmp_path, sections={"queue": section}))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


def handled(farm: Farm, number: int) -> None:
    wait_until(lambda: len(farm.journal.handled("note")) >= number, 40, f"the end of {number} jobs")


def test_jobs_are_taken_from_all_and_sent_to_one_that_is_up(
    make: Callable[..., Farm], pair: tuple[Broker, Broker]
) -> None:
    first, second = pair
    farm = make()
    farm.enqueue("alpha", "note", "-", input=LINES)
    first.kill()
    checked = farm.snqctl("check")
    assert (checked.returncode, address(first) in checked.stderr, address(second) in checked.stderr) == (2, True, False)
    farm.start()
    farm.enqueue("alpha", "note", "-", input=LINES)
    # With follow-ups, which go to the one that is up too.
    farm.enqueue("alpha", "chain", f'{{"notes": {BATCH}}}')
    handled(farm, 2 * BATCH)
    assert len(farm.journal.handled("note")) == 2 * BATCH, "the rest lies on the broker that is away"
    first.start()
    handled(farm, 3 * BATCH)
    farm.enqueue("alpha", "note", "-", input=LINES)
    handled(farm, 4 * BATCH)
    assert len(farm.journal.handled("note")) == 4 * BATCH
    assert farm.stop() == 0
    assert farm.dead() == []


def test_the_one_to_send_to_is_the_only_one_that_is_sent_to(
    make: Callable[..., Farm], pair: tuple[Broker, Broker]
) -> None:
    first, second = pair
    farm = make(stomp_enqueue_on=address(first))
    farm.start()
    first.kill()
    told = farm.snqctl("enqueue", "alpha", "note", "{}")
    assert told.returncode == 1
    assert address(first) in told.stderr
    assert address(second) not in told.stderr
    first.start()
    farm.enqueue("alpha", "note", "-", input=LINES)
    handled(farm, BATCH)
    assert farm.stop() == 0


def test_a_pair_of_which_one_stands_by(make: Callable[..., Farm], pair: Pair) -> None:
    first, second = pair
    farm = make(stomp_manual_failover="no")
    farm.start()
    # Two processes, each with a connection to take jobs and one for sending.
    assert len(re.findall(r"\] connected to ", farm.log())) == 4
    farm.enqueue("alpha", "note", "-", input=LINES)
    wait_until(lambda: len(farm.journal.handled("note")) > 4, 20, "the first jobs")
    first.kill()
    farm.enqueue("alpha", "note", "-", input=LINES)
    handled(farm, BATCH + 5)
    first.start()
    second.kill()
    assert farm.snqctl("check").returncode == 0  # one that answers is enough
    farm.enqueue("alpha", "note", "-", input=LINES)
    handled(farm, 3 * BATCH)
    assert len(farm.journal.handled("note")) == 3 * BATCH
    assert farm.dead() == []
    assert farm.stop() == 0
