"""Captured MESSAGE frames, byte for byte, from a player: each reaches its handler, or the morgue and the monitor."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm import Farm
from waiting import wait_until

from snqd.core.errors import BadPayload
from snqd.core.job import PHP
from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame, Version
from snqd.stomp.parser import Parser
from snqd.wire.envelope import php_job_body
from snqd.wire.payload import decode, to_json_text

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BAD_ITEM = b"counter=baditem&owners%5B0%5D=queue%3Amain&owners%5B1%5D=thread%3Afarm.main.1"
QUEUES = ("distrib", "ostatus", "ping", "peernoop")
KEEP = """exec: /bin/sh -c 'cat >new-$$ && mv new-$$ kept.$0.$1.$$' {site} {queue}"""
# The captured MESSAGEs name no subscription, since PHP's SUBSCRIBE has no id; a broker names the id that it was given.
CASES = [("gnusocial120-rabbitmq", "/queue/statusnet."), ("statusnet10-activemq", "/queue/statusnet/")]


def captured(sample: str) -> list[Path]:
    """The jobs, without the commands to all daemons."""
    paths = sorted((SAMPLES / sample / "frames").glob("*-MESSAGE-*.bin"))
    return [path for path in paths if path.stem.split("-MESSAGE-")[1].split("-")[0] in QUEUES]


class Player:
    """Speaks STOMP 1.0, and plays `frames` to the first who subscribes to `destination`.

    :ivar acknowledged: the message-ids in the ACKs that came.
    """

    def __init__(self, destination: str, frames: list[bytes]) -> None:
        self.acknowledged: list[str] = []
        self._destination = destination
        self._frames = frames
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(visitor,), daemon=True).start()

    def _converse(self, visitor: socket.socket) -> None:
        parser = Parser()
        with visitor:
            while data := visitor.recv(65536):
                for frame in parser.feed(data):
                    if frame.command == "CONNECT":
                        parser.version = Version.V1_0
                        visitor.sendall(encode("CONNECTED", {"session": "1"}, b"", Version.V1_0))
                    if "receipt" in frame.headers:
                        receipt = {"receipt-id": frame.headers["receipt"]}
                        visitor.sendall(encode("RECEIPT", receipt, b"", Version.V1_0))
                    if frame.command == "ACK":
                        self.acknowledged.append(frame.headers["message-id"])
                    if frame.command == "SUBSCRIBE":
                        self._play(visitor, frame)

    def _play(self, visitor: socket.socket, frame: Frame) -> None:
        if frame.headers["destination"] == self._destination:
            frames, self._frames = self._frames, []
            name = f"MESSAGE\nsubscription:{frame.headers['id']}\n".encode()
            visitor.sendall(b"".join(each.replace(b"MESSAGE\n", name, 1) for each in frames))


@pytest.fixture
def monitor() -> Iterator[socket.socket]:
    """Where pings arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(20)
        yield listener


def pings(monitor: socket.socket, number: int) -> list[bytes]:
    """The first so many that are of counters."""
    found: list[bytes] = []
    while len(found) < number:
        ping = monitor.recv(65536)
        if ping.startswith(b"counter="):
            found.append(ping)
    return found


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def player(case: tuple[str, str]) -> Iterator[Player]:
    sample, base = case
    player = Player(f"{base}main", [path.read_bytes() for path in captured(sample)])
    yield player
    player.close()


def expected(sample: str) -> tuple[Counter[tuple[str, str]], list[bytes]]:
    """Queues with the payloads that handlers must get, and the bodies that nobody can read."""
    good: Counter[tuple[str, str]] = Counter()
    bad = []
    for path in captured(sample):
        data = path.read_bytes()
        try:
            payload = json.loads(to_json_text(decode(php_job_body(data).body, PHP)))
        except BadPayload:
            bad.append(data.partition(b"\n\n")[2].rstrip(b"\n").removesuffix(b"\0"))
        else:
            good[path.stem.split("-")[4], json.dumps(payload, sort_keys=True)] += 1
    return good, bad


def kept(farm: Farm) -> Counter[tuple[str, str]]:
    """Queues with the payloads that handlers got, all of site peer."""
    return Counter(
        (path.name.split(".")[2], json.dumps(json.loads(path.read_text()), sort_keys=True))
        for path in farm.folder.glob("kept.peer.*")
    )


def test_captured_messages_reach_their_handlers_or_the_morgue(
    case: tuple[str, str], player: Player, monitor: socket.socket, tmp_path: Path
) -> None:
    sample, base = case
    queue = {
        "subsystem": "stomp",
        "stomp_server": f"127.0.0.1:{player.port}",
        "queue_basename": base,
        "monitor": f"udp://127.0.0.1:{monitor.getsockname()[1]}",
    }
    farm = Farm(
        tmp_path,
        sites=["peer"],
        handlers=dict.fromkeys(QUEUES, KEEP),
        sections={"queue": queue, "snqd": {"threads": 1}},
    )
    good, bad = expected(sample)
    assert good
    try:
        farm.start()
        wait_until(lambda: len(player.acknowledged) == len(captured(sample)), 30, "all acknowledgements")
        assert kept(farm) == good
        assert len(farm.dead()) == len(bad)
        assert all(letter["reason"] for letter in farm.dead())
        counted = pings(monitor, len(good) + len(bad))
        assert [ping for ping in counted if b"baditem" in ping] == [BAD_ITEM] * len(bad)
        wait_until(lambda: sum(row["dead"] for row in farm.status()["queues"]) == len(bad), 10, "the count")
        assert [row["site"] for row in farm.status()["sites"]] == ["peer"]
        assert len(set(player.acknowledged)) == len(player.acknowledged)
        assert farm.stop() == 0
    finally:
        farm.close()
