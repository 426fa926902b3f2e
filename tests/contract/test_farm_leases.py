"""Farm leases on every store that keeps them: one holding a name, exchanged by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from zope.interface.verify import verifyObject

from snqd.config.load import load_file
from snqd.core.farm_lease import Holding
from snqd.stores.factory import control_channel_of
from snqd.stores.farm_leases import IFarmLeases
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.redis import running_redis


def on_postgresql(folder: Path) -> str:
    server = postgresql()
    return f"db = {server.url(server.database())}"


def on_mariadb(folder: Path) -> str:
    server = mariadb()
    return f"db = {server.url(server.database())}"


def on_redis(folder: Path) -> str:
    return f"subsystem = redis\nredis = {running_redis().url}\nqueue_basename = {folder}"


def beside_a_broker(folder: Path) -> str:
    server = postgresql()
    return f"subsystem = stomp\nstomp_server = 127.0.0.1:1\nmorgue = {server.url(server.database())}"


KINDS = {
    "postgresql": on_postgresql,
    "mariadb": on_mariadb,
    "redis": on_redis,
    "beside-a-broker": beside_a_broker,
}


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], IFarmLeases]]:
    """Makes one more process's side."""
    config = tmp_path / "snq.ini"
    config.write_text(f"[queue]\n{KINDS[request.param](tmp_path)}\n")
    channel = control_channel_of(load_file(config, plugins={}))
    assert channel is not None
    made: list[IFarmLeases] = []

    def make() -> IFarmLeases:
        leases = channel.farm_leases()
        assert leases is not None
        made.append(leases)
        return leases

    yield make
    for each in made:
        each.close()


def test_it_does_as_the_interface_says(connect: Callable[[], IFarmLeases]) -> None:
    leases = connect()
    assert verifyObject(IFarmLeases, leases)
    assert leases.lease_of("group:xmpp") is None
    assert leases.exchange_lease("group:xmpp", None, Holding("host.xmpp.1-1", 1))
    assert connect().lease_of("group:xmpp") == Holding("host.xmpp.1-1", 1)
    assert leases.lease_of("group:other") is None


def test_only_what_is_still_there_is_exchanged(connect: Callable[[], IFarmLeases]) -> None:
    one, two = connect(), connect()
    first, second = Holding("one", 1), Holding("two", 2)
    assert one.exchange_lease("x", None, first)
    assert not two.exchange_lease("x", None, second)
    assert not two.exchange_lease("x", Holding("one", 2), second)
    assert not two.exchange_lease("x", Holding("two", 1), second)
    assert one.lease_of("x") == first
    assert two.exchange_lease("x", first, second)
    assert not one.exchange_lease("x", first, Holding("one", 2))
    assert one.lease_of("x") == second


def test_a_free_lease_has_no_holder(connect: Callable[[], IFarmLeases]) -> None:
    leases = connect()
    leases.exchange_lease("x", None, Holding("one", 1))
    assert leases.exchange_lease("x", Holding("one", 1), Holding("", 2))
    assert leases.lease_of("x") == Holding("", 2)


def test_of_many_at_once_one_gets_it(connect: Callable[[], IFarmLeases]) -> None:
    sides = [connect() for _ in range(4)]
    with ThreadPoolExecutor(len(sides)) as pool:
        for beat in range(1, 26):
            found = sides[0].lease_of("x")
            got = pool.map(
                lambda n, beat=beat, found=found: sides[n].exchange_lease("x", found, Holding(str(n), beat)), range(4)
            )
            assert sum(got) == 1


def test_farms_that_share_a_morgues_database_do_not_share_leases(tmp_path: Path) -> None:
    shared = beside_a_broker(tmp_path)
    sides = []
    for name in ("one", "two"):
        config = tmp_path / f"{name}.ini"
        config.write_text(f"[queue]\n{shared}\nqueue_basename = /queue/{name}.\n")
        channel = control_channel_of(load_file(config, plugins={}))
        assert channel is not None
        leases = channel.farm_leases()
        assert leases is not None
        sides.append(leases)
    one, two = sides
    assert one.exchange_lease("group:x", None, Holding("a", 1))
    assert two.lease_of("group:x") is None
    assert two.exchange_lease("group:x", None, Holding("b", 1))
    assert two.exchange_lease("group:x", Holding("b", 1), Holding("b", 2))
    assert one.lease_of("group:x") == Holding("a", 1)
    for each in sides:
        each.close()


def test_a_broker_with_a_morgue_of_this_host_alone_has_none(tmp_path: Path) -> None:
    config = tmp_path / "snq.ini"
    config.write_text("[queue]\nsubsystem = stomp\nstomp_server = 127.0.0.1:1\n")
    channel = control_channel_of(load_file(config, plugins={}))
    assert channel is not None
    assert channel.farm_leases() is None
