"""Brokers, and farms that work on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm

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
