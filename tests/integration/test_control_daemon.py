"""Two daemons on one store: what snqctl, or StatusNet's queuectl.php, tells one is told to both."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm import STOP_TIMEOUT, Farm, alive, start_all
from waiting import wait_until

from snqd.config.load import load_file
from snqd.stores.factory import control_channel_of
from snqd.wire.control_message import encode, new_message
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.postgresql import postgresql
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import RedisServer

SAMPLES = Path(__file__).parents[1] / "samples"
KEY = b"0123456789abcdef0123456789abcdef"
PATIENCE = 30.0


def on_postgresql(folder: Path) -> dict[str, object]:
    server = postgresql()
    return {"db": server.url(server.database())}


def on_broker(kind: type[Broker], folder: Path) -> dict[str, object]:
    if kind.missing() and not os.environ.get("CI"):
        pytest.skip(f"needs {kind.missing()}")
    broker = running(kind)
    return {
        "subsystem": "stomp",
        "stomp_server": f"127.0.0.1:{broker.port}",
        "stomp_username": broker.username,
        "stomp_password": broker.password,
        "queue_basename": f"/queue/{folder.name}.",
        "control_channel": f"/topic/{folder.name}",
    }


@pytest.fixture(params=["postgresql", "redis", "rabbitmq"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """What makes ``[queue]`` be on each kind of store in turn."""
    if request.param == "redis":
        server = RedisServer(tmp_path / "redis")
        server.start()
        yield {"subsystem": "redis", "redis": server.url}
        server.stop()
    else:
        yield on_postgresql(tmp_path) if request.param == "postgresql" else on_broker(RabbitMq, tmp_path)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes a host with a folder and a key file of its own."""
    farms: list[Farm] = []

    def make(name: str, queue: dict[str, object], children: int = 1, key: bool = True) -> Farm:
        folder = tmp_path / name
        folder.mkdir()
        if key:
            (folder / "control.key").write_bytes(KEY)
            (folder / "control.key").chmod(0o600)
            queue = {**queue, "control_key_file": "control.key"}
        sections = {"snqd": {"id": name, "threads": children}, "queue": queue}
        farms.append(Farm(folder, sites=("alpha", "peer"), sections=sections))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


def change(farm: Farm, key: str, value: int) -> None:
    farm.config.write_text(farm.config.read_text().replace("[queue]\n", f"[queue]\n{key} = {value}\n"))


def wait_for_line(farm: Farm, text: str, times: int = 1) -> None:
    wait_until(lambda: farm.log().count(text) >= times, PATIENCE, f"{times} times {text!r}")
    assert farm.log().count(text) == times


def replaced(farm: Farm, before: list[int]) -> bool:
    return farm.ready() and not set(before) & set(farm.child_pids())


def test_commands_reach_both_and_each_is_done_once(host: Callable[..., Farm], keys: dict[str, object]) -> None:
    one, two = farms = host("one", keys, children=2), host("two", keys)
    start_all(farms)

    for farm in farms:
        change(farm, "concurrency", 7)
    answer = one.snqctl("update")
    assert answer.returncode == 0, answer.stderr
    assert "changed: [queue] concurrency" in answer.stdout
    wait_for_line(two, "configuration changed: [queue] concurrency")

    before = [farm.child_pids() for farm in farms]
    answer = one.snqctl("restart", "--local")
    assert (answer.returncode, answer.stdout) == (0, "restarted: 2 children were replaced\n")
    assert replaced(one, before[0])

    for farm in farms:
        change(farm, "timeout", 99)
    assert two.snqctl("update").returncode == 0
    wait_for_line(one, "configuration changed: [queue] timeout")
    assert two.child_pids() == before[1], "a command with --local is for one host"

    before = [farm.child_pids() for farm in farms]
    answer = two.snqctl("restart")
    assert answer.returncode == 0, answer.stderr
    assert "restarted: 1 child was replaced" in answer.stdout
    for farm, pids in zip(farms, before, strict=True):
        wait_until(lambda farm=farm, pids=pids: replaced(farm, pids), PATIENCE, "fresh children")  # type: ignore[misc]
    wait_for_line(one, "rolling restart: done", 2)
    wait_for_line(two, "rolling restart: done", 1)
    assert one.log().count("configuration changed") == two.log().count("configuration changed") == 2

    two.config.write_text(two.config.read_text() + "[queue]\nlease = never\n")
    assert one.snqctl("update").returncode == 0, "what another host refuses is in its log"
    wait_for_line(two, "the configuration stays as it was")

    answer = one.snqctl("stop")
    assert answer.returncode == 0, answer.stderr
    assert [farm.daemon.wait(STOP_TIMEOUT) for farm in farms] == [0, 0]

    answer = one.snqctl("restart")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "none runs on this host" in answer.stdout
    assert one.snqctl("restart", "--local").returncode == 1


def test_what_is_forged_old_or_sent_again_does_nothing_but_a_line(
    host: Callable[..., Farm], keys: dict[str, object]
) -> None:
    farm = host("one", keys, children=2)
    farm.start()
    pids = farm.child_pids()
    channel = control_channel_of(load_file(farm.config))
    assert channel is not None
    publisher = channel.control_publisher()
    now = time.time()
    change(farm, "concurrency", 7)
    good = encode(new_message("update", None, now, "the test"), KEY)
    publisher.publish(good)
    wait_for_line(farm, "configuration changed: [queue] concurrency")

    # Those of the same kind one after the other, so that the children's copies of a line do not hide each other.
    publisher.publish(encode(new_message("restart", None, now, "the test"), b"another key of that size"))
    publisher.publish(encode(new_message("stop", None, now - 3600, "the test"), KEY))
    publisher.publish(b"shutdown")
    publisher.publish(good)
    publisher.close()
    for why in ("its signature is wrong", "s old, by this host's clock", "it is not signed", "it has come before"):
        wait_for_line(farm, why)

    change(farm, "timeout", 99)
    assert farm.snqctl("update").returncode == 0
    assert farm.log().count("is ignored") == 4
    assert farm.log().count("configuration changed") == 2
    assert farm.child_pids() == pids


def send_captured(keys: dict[str, object], kind: type[Broker], *names: str) -> None:
    """What queuectl.php sent, byte for byte, on a connection of its own."""
    (folder,) = [each for each in SAMPLES.iterdir() if each.name.endswith(f"-{kind.__name__.lower()}")]
    login = f"login:{keys['stomp_username']}\npasscode:{keys['stomp_password']}"
    with socket.create_connection(("127.0.0.1", running(kind).port), timeout=PATIENCE) as connection:
        connection.sendall(f"CONNECT\n{login}\n\n\0".encode())
        assert connection.recv(9) == b"CONNECTED"
        for name in names:
            (frame,) = folder.glob(f"frames/*-c2s-*-SEND-{name}.bin")
            connection.sendall(frame.read_bytes())
        connection.sendall(b"DISCONNECT\nreceipt:bye\n\n\0")
        received = b""
        while b"receipt-id:bye" not in received:
            received += (data := connection.recv(4096))
            assert data, received


@pytest.mark.parametrize(
    ("kind", "topic"), [(RabbitMq, "/topic/statusnet.control"), (ActiveMq, "/topic/statusnet/control")]
)
def test_queuectl_php_steers_those_who_believe_it(
    host: Callable[..., Farm], tmp_path: Path, kind: type[Broker], topic: str
) -> None:
    keys: dict[str, Any] = {**on_broker(kind, tmp_path), "control_channel": topic}
    open_, strict = farms = (
        host("open", {**keys, "control_unsigned": "yes"}, children=2, key=False),
        host("strict", keys),
    )
    start_all(farms)
    before = [farm.child_pids() for farm in farms]

    send_captured(keys, kind, "update_peer")
    wait_for_line(open_, "told all daemons: update peer")
    send_captured(keys, kind, "restart")
    wait_until(lambda: replaced(open_, before[0]), PATIENCE, "fresh children")
    wait_for_line(open_, "rolling restart: done")
    send_captured(keys, kind, "shutdown")
    assert open_.daemon.wait(STOP_TIMEOUT) == 0

    wait_for_line(strict, "it is not signed, and [queue] control_unsigned is no", 3)
    assert strict.child_pids() == before[1]
    assert all(alive(pid) for pid in before[1])
