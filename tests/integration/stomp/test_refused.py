"""Brokers that let nobody in: the login and the virtual host are named, and a broker that changes its mind is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from snqd.core.errors import StoreUnavailable
from tests.servers.broker import Broker
from tests.servers.rabbitmq import RabbitMq

PROCESSES = 3
REFUSED = "the broker refuses the login: .*; check \\[queue\\] stomp_username, the password and stomp_vhost"


def complaints(farm: Farm) -> list[str]:
    return re.findall(f"no connection to tcp://[0-9.:]+, and it is tried again: {REFUSED}", farm.log())


def is_refused_everywhere(farm: Farm) -> None:
    """The daemon, which runs, and whoever enqueues or checks say so."""
    wait_until(lambda: complaints(farm), 30, "a complaint")
    for command, code in ((("enqueue", "alpha", "note", "{}"), 1), (("check",), 2)):
        told = farm.snqctl(*command)
        assert told.returncode == code
        assert re.search(f"tcp://127.0.0.1:[0-9]+: {REFUSED}", told.stderr), told.stderr
    assert "[queue] stomp_server: " in told.stderr
    with pytest.raises(StoreUnavailable, match=REFUSED):
        connect(farm.config).enqueue("alpha", "note", {})
    assert len(complaints(farm)) <= PROCESSES
    assert "secret" not in farm.log()


def works(farm: Farm) -> None:
    farm.enqueue("alpha", "note", "{}")
    wait_until(lambda: len(farm.journal.handled("note")) == 1, 20, "the job's end")
    assert farm.stop() == 0


def test_a_login_that_is_refused_is_named_and_the_password_is_not(farm_on: Callable[..., Farm], broker: Broker) -> None:
    farm = farm_on("farm", stomp_username="guest", stomp_password="secret-1")
    farm.spawn("-n", "--pidfile=")
    is_refused_everywhere(farm)


@pytest.fixture
def vhost(broker: RabbitMq, tmp_path: Path) -> Iterator[str]:
    """The name of one that is made in the test."""
    yield "farm-of-" + tmp_path.name
    broker.ctl("delete_vhost", "farm-of-" + tmp_path.name)


@pytest.mark.parametrize("broker", [RabbitMq], indirect=True, ids=lambda kind: kind.name)
def test_a_virtual_host_of_the_farms_own_is_found_once_it_is_there(
    farm_on: Callable[..., Farm], broker: RabbitMq, vhost: str
) -> None:
    farm = farm_on("farm", stomp_vhost=vhost, stomp_password="guest")
    farm.spawn("-n", "--pidfile=")
    is_refused_everywhere(farm)
    broker.ctl("add_vhost", vhost)
    broker.ctl("set_permissions", "-p", vhost, broker.username, ".*", ".*", ".*")
    works(farm)
    queue = farm.folder.parent.name + ".main"
    assert queue in broker.ctl("list_queues", "-p", vhost, "name")
    assert queue not in broker.ctl("list_queues", "-p", "/", "name")
