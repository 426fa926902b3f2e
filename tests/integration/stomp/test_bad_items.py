"""What nobody can read is counted as dead and pinged as baditem."""

from __future__ import annotations

import socket
from collections.abc import Callable

from farm import Farm
from waiting import wait_until

from snqd.stomp.protocol import Login
from snqd.stores.stomp.blocking import send_once
from tests.servers.broker import Broker


def test_what_nobody_can_read_is_counted_and_pinged(farm_on: Callable[..., Farm], broker: Broker) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as monitor:
        monitor.bind(("127.0.0.1", 0))
        monitor.settimeout(20)
        farm = farm_on("farm", monitor=f"udp://127.0.0.1:{monitor.getsockname()[1]}")
        farm.start()
        destination = f"/queue/{farm.folder.parent.name}.main"
        login = Login(broker.username, broker.password)
        for body in (b"no job", b'a:3:{s:4:"site";s:5:"alp'):
            send_once(f"127.0.0.1:{broker.port}", login, {"destination": destination, "persistent": "true"}, body)
        pings = []
        while len(pings) < 2:
            ping = monitor.recv(65536)
            if ping.startswith(b"counter="):
                pings.append(ping)
    assert all(ping.startswith(b"counter=baditem&owners%5B0%5D=queue%3Amain&owners%5B1%5D=thread%3A") for ping in pings)
    wait_until(lambda: farm.queue("main")["dead"] == 2, 10, "the count")
    assert {letter["queue"] for letter in farm.dead()} == {"main"}
    assert len(farm.dead()) == 2
    assert {row["site"] for row in farm.status()["sites"]} == {"alpha", "beta"}
    assert farm.stop() == 0
