"""A StatusNet monitor hears of a daemon what it hears of queuedaemon.php."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import parse_qs

from farm import Farm
from waiting import wait_until


class Monitor:
    """A bound UDP socket, and what came in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.pings: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self._socket.getsockname()[1]}"

    def counted(self, name: str) -> list[list[str]]:
        """The owners of all counter pings of that name so far."""
        self._listen()
        pings = [ping for ping in self.pings if ping.get("counter") == [name]]
        return [[ping[f"owners[{number}]"][0] for number in range(3)] for ping in pings]

    def states(self, thread: str) -> list[str]:
        """The states of a child so far."""
        self._listen()
        return [ping["state"][0] for ping in self.pings if ping.get("thread_id") == [thread]]

    def _listen(self) -> None:
        try:
            while True:
                self.pings.append(parse_qs(self._socket.recv(65536).decode("ascii"), keep_blank_values=True))
        except BlockingIOError:
            return


def test_every_outcome_and_state_is_announced(make_farm: Callable[..., Farm]) -> None:
    monitor = Monitor()
    farm = make_farm(sections={"queue": {"monitor": monitor.url}, "snqd": {"threads": 1}})
    farm.start()
    farm.enqueue("alpha", "note", "--count", 3)
    farm.enqueue("beta", "picky", f'{{"unless": "{farm.folder}/missing"}}')
    farm.enqueue("beta", "later", '{"delay": 0.1, "good": 2}')
    owners = ["site:alpha.example", "thread:farm.main.1"]
    wait_until(lambda: monitor.counted("handled").count(["queue:note", *owners]) == 3, 30, "three handled notes")
    wait_until(lambda: ["queue:picky", "site:beta.example", owners[1]] in monitor.counted("deadletter"), 30, "a letter")
    wait_until(lambda: ["queue:later", "site:beta.example", owners[1]] in monitor.counted("requeued"), 30, "a retry")
    wait_until(lambda: ["queue:later", "site:beta.example", owners[1]] in monitor.counted("handled"), 30, "its end")
    wait_until(lambda: {"listening", "queue", "idle"} <= set(monitor.states("farm.main.1")), 30, "an idle child")
    farm.stop()
    assert monitor.states("farm.main.1")[-1] == "shutdown"
