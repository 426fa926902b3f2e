"""What is no broker at all behind stomp_server: it is named, not hammered, and no hindrance once a broker is there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import psutil
import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from snqd.core.errors import StoreUnavailable
from snqd.stores.stomp import blocking
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.wrong_servers import CLOSING, DRIPPING, HTTP, SILENT, WrongServer

WRONG = {
    HTTP: r"the broker said what is no STOMP \(.*no command of STOMP.*\)",
    CLOSING: "the connection was closed before an answer to CONNECT",
    SILENT: r"the broker did not answer to CONNECT within \d+ s",
}
WATCHED = 8.0
PROCESSES, CONNECTIONS = 3, 2
# A quarter of a second, then each twice as long up to four, and all shortened by up to a quarter.
ATTEMPTS_WHILE_WATCHED = 6


@pytest.fixture
def wrong_servers() -> Iterator[dict[str, WrongServer]]:
    """One of each kind."""
    made = {kind: WrongServer(kind) for kind in WRONG}
    yield made
    for each in made.values():
        each.close()


def servers(wrong_servers: dict[str, WrongServer]) -> str:
    return ", ".join(f"tcp://127.0.0.1:{stranger.port}" for stranger in wrong_servers.values())


def complaints(farm: Farm, stranger: WrongServer) -> list[str]:
    """What was logged of the connections that shall bring jobs from the stranger."""
    return re.findall(rf"no connection to tcp://127.0.0.1:{stranger.port}, and .*", farm.log())


def resident(farm: Farm) -> int:
    return sum(process.memory_info().rss for process in psutil.Process(farm.daemon.pid).children())


@pytest.mark.parametrize("broker", [ActiveMq], indirect=True, ids=lambda kind: kind.name)
def test_strangers_are_named_and_not_hammered_and_a_broker_in_their_place_is_found(
    farm_on: Callable[..., Farm], broker: Broker, wrong_servers: dict[str, WrongServer]
) -> None:
    farm = farm_on("farm", stomp_server=servers(wrong_servers))
    farm.spawn("-n", "--pidfile=")
    with ThreadPoolExecutor() as pool:
        refused = pool.submit(farm.snqctl, "enqueue", "alpha", "note", "{}")
        quick = [wrong_servers[HTTP], wrong_servers[CLOSING]]
        wait_until(lambda: all(complaints(farm, each) for each in quick), 30, "complaints")
        visits, since = [each.visits for each in quick], time.monotonic()
        before = resident(farm)
        told = refused.result()
        wait_until(lambda: time.monotonic() - since > WATCHED, 30, "the end of the watch")
    assert resident(farm) - before < 8 * 1024 * 1024
    for each, earlier in zip(quick, visits, strict=True):
        assert each.visits - earlier <= PROCESSES * CONNECTIONS * ATTEMPTS_WHILE_WATCHED + 1
        found = complaints(farm, each)
        assert len(found) <= PROCESSES, found
        assert re.search(f"{WRONG[each.kind]}.*check that \\[queue\\] stomp_server names", found[0])
    assert told.returncode == 1
    for each in wrong_servers.values():
        assert re.search(f"127.0.0.1:{each.port}: {WRONG[each.kind]}", told.stderr)
        each.close()
    proxies = [CuttingProxy(broker.port, Random(1), port=each.port) for each in wrong_servers.values()]
    try:
        wait_until(lambda: farm.snqctl("enqueue", "alpha", "note", "{}").returncode == 0, 20, "an accepted job")
        wait_until(lambda: len(farm.journal.handled("note")) == 1, 20, "the job's end")
        assert farm.stop() == 0
    finally:
        for proxy in proxies:
            proxy.close()


@pytest.mark.parametrize("kind", [*WRONG, DRIPPING])
def test_a_program_that_enqueues_is_told_soon_what_is_wrong(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "LOGIN_TIMEOUT", 1.0)
    stranger = WrongServer(kind)
    queue = {"subsystem": "stomp", "stomp_server": f"127.0.0.1:{stranger.port}"}
    farm = Farm(tmp_path, sections={"queue": queue})
    since = time.monotonic()
    problem = WRONG.get(kind, WRONG[SILENT])
    try:
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{stranger.port}: {problem}.*stomp_server"):
            connect(farm.config).enqueue("alpha", "note", {})
    finally:
        stranger.close()
    assert time.monotonic() - since < 5
