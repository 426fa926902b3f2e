"""Daemons on brokers: nothing is lost when children and brokers are killed, and only the guilty are punished."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.rabbitmq import RabbitMq

KINDS = [RabbitMq, ActiveMq]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each kind of broker in turn."""
    kind: type[Broker] = request.param
    if kind.missing() and not os.environ.get("CI"):
        pytest.skip(f"needs {kind.missing()}")
    return running(kind)


@pytest.fixture
def farm_on(broker: Broker, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes farms on the broker, each in a folder of its own."""
    made: list[Farm] = []

    def make(name: str, **queue: object) -> Farm:
        folder = tmp_path / name
        folder.mkdir()
        section: dict[str, object] = {
            "subsystem": "stomp",
            "stomp_server": f"tcp://127.0.0.1:{broker.port}",
            "stomp_username": broker.username,
            "stomp_password": broker.password,
            "queue_basename": f"/queue/{tmp_path.name}.",
            "spawndelay": 0.2,
            **queue,
        }
        made.append(Farm(folder, sections={"queue": section}))
        return made[-1]

    yield make
    for farm in made:
        farm.close()


def attempts(*farms: Farm) -> list[int]:
    """Of the runs of the only killer, in no order."""
    return sorted(run.attempt for farm in farms for run in farm.journal.runs("killer"))


def test_a_killer_alone_reaches_the_morgue(farm_on: Callable[..., Farm]) -> None:
    farm = farm_on("farm", max_retries=2)
    farm.start()
    farm.enqueue("alpha", "note", "-", input='{"seconds": 0.05}\n' * 200)
    farm.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(farm.dead()), 60, "a dead letter")
    (letter,) = farm.dead()
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    assert letter["reason"] == "its process was killed by signal 9 (attempt 3 of 3)"
    wait_until(lambda: len(farm.journal.handled("note")) == 200, 30, "the end of all innocents")
    assert attempts(farm) == [1, 2, 3]
    assert farm.stop() == 0


def test_two_daemons_share_a_farm_and_its_suspects(farm_on: Callable[..., Farm], tmp_path: Path) -> None:
    morgue = f"sqlite:///{tmp_path}/morgue.db"
    one, two = farm_on("one", max_retries=2, morgue=morgue), farm_on("two", max_retries=2, morgue=morgue)
    one.start()
    two.start()
    one.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(one.dead()), 60, "a dead letter")
    (letter,) = two.dead()
    assert letter["attempts"] == 3
    assert attempts(one, two) == [1, 2, 3]


@pytest.mark.slow
def test_nothing_is_lost_when_children_and_the_broker_are_killed(farm_on: Callable[..., Farm], broker: Broker) -> None:
    farm = farm_on("farm", retry_delay=1)
    farm.enqueue("alpha", "note", "-", input='{"seconds": 0.15}\n' * 6000)
    farm.enqueue("beta", "chain", "-", input='{"notes": 2}\n' * 200)
    farm.start()
    some = random.Random(7)
    for blow in range(6):
        time.sleep(0.7)  # the blows are spread over the work, wherever that is
        assert len(farm.journal.handled()) < 6600, "the blows come too late to matter"
        if blow == 3:
            broker.kill()
            broker.start()
        else:
            farm.kill(some.choice(farm.child_pids()))
    wait_until(lambda: len(farm.journal.handled("note")) >= 6400, 90, "the end of all jobs")
    wait_until(lambda: len(farm.journal.handled("chain")) == 200, 30, "the end of all chains")
    # Follow-ups derive their ids from their parent's, so that a repeated parent makes no further ones.
    assert len(farm.journal.handled("note")) == 6400
    assert farm.dead() == []
    twice = sum(1 for runs in farm.journal.by_job().values() if sum(run.ended is not None for run in runs) > 1)
    print(f"{broker.name}: {twice} of 6,600 jobs came to their end twice")  # noqa: T201
    assert farm.stop() == 0
