"""What parent and child say to each other."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from snqd.pipe import commands


class Hearer(commands.Channel):
    heard: Any = None

    @commands.Heartbeat.responder
    def heartbeat(self, report: Any, counters: Any) -> dict[str, Any]:
        self.heard = (report, counters)
        return {}


def connected(channel: commands.Channel) -> StringTransport:
    transport = StringTransport()
    channel.makeConnection(transport)
    return transport


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_001, 1_000_000])
def test_values_of_any_size_arrive_whole(size: int) -> None:
    sender, hearer = commands.Channel(), Hearer()
    wire = connected(sender)
    connected(hearer)
    report = {"text": "ä" * size, "n": None}
    sender.ask(commands.Heartbeat, report=report, counters=[])
    hearer.dataReceived(wire.value())
    assert hearer.heard == (report, [])
