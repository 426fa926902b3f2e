"""The rooms around the one that a test looks at: a broker's side, a sender, notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.core.job import Job
from snqd.core.tenure import Tenure
from snqd.stomp.connection import LONGEST_DELAY
from snqd.stomp.encoder import encode
from snqd.stomp.errors import NotConnected
from snqd.stomp.frame import Frame, Version
from snqd.stomp.parser import Parser
from snqd.stores.morgue.morgue import Letter
from snqd.stores.stomp import message
from snqd.stores.stomp.consumer import Arrival, Source
from snqd.stores.stomp.dialects import BrokerDialect, RabbitMq
from snqd.stores.stomp.inbox import Inbox
from snqd.stores.stomp.mover import Mover
from snqd.stores.stomp.router import Router
from snqd.stores.stomp.sender import Outgoing
from snqd.stores.stomp.shared_state import SharedStateSnapshot
from snqd.stores.stomp.topology import Topology
from tests.unit.stomp.doubles import Transport

TOPOLOGY = Topology("/queue/snqd.", lambda queue: "main", is_served=lambda queue: queue != "strange")


class BrokerEnd:
    """An endpoint, and the broker behind it, which a test plays."""

    def __init__(self, server: str = "RabbitMQ/3.10.8") -> None:
        self.clock = Clock()
        self.server = server

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol, self.transport = factory.buildProtocol(None), Transport()
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def log_in(self) -> list[Frame]:
        """Let the client in, and confirm what it sends then, which is returned."""
        self.sent()
        self.say("CONNECTED", version="1.2", server=self.server)
        return self.confirm()

    def sent(self) -> list[Frame]:
        self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        parser = Parser()
        parser.version = Version.V1_2
        return list(parser.feed(data))

    def confirm(self) -> list[Frame]:
        """Answer to what asks for it."""
        frames = self.sent()
        for frame in frames:
            if "receipt" in frame.headers:
                self.say("RECEIPT", receipt_id=frame.headers["receipt"])
        return frames

    def say(self, command: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.protocol.dataReceived(encode(command, named, b""))

    def lose(self) -> None:
        """The connection is gone, and the client is about to log in to the next one."""
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.clock.advance(LONGEST_DELAY)


@attrs.define(eq=False)
class FakeConsumer:
    """Keeps what is settled, as long as the connection is the one that brought it."""

    dialect: BrokerDialect = attrs.field(factory=RabbitMq)
    epoch: int = 1
    sources: dict[str, Source] = attrs.field(factory=dict)
    acked: list[str] = attrs.field(factory=list)
    unconfirmed: list[Deferred[None]] = attrs.field(factory=list)
    tenure: Tenure = attrs.field(factory=Tenure)
    returned: list[str] = attrs.field(factory=list)

    def listen(self, source: Source, prefetch: int) -> None:
        self.sources[source.destination] = source
        source.prefetch += prefetch

    def shrink(self, source: Source, prefetch: int) -> None:
        source.prefetch = prefetch

    def give_back(self, source: Source, arrivals: Sequence[Arrival], shut: bool) -> None:
        self.returned += [arrival.job.id for arrival in arrivals]
        source.prefetch = 0 if shut else 1

    def reopen(self, source: Source) -> None:
        source.prefetch = 1

    def ack(self, arrival: Arrival) -> bool:
        if arrival.epoch != self.epoch:
            return False
        self.acked.append(arrival.job.id)
        return True

    async def ack_surely(self, arrival: Arrival) -> bool:
        acked = self.ack(arrival)
        self.unconfirmed.append(Deferred())
        await self.unconfirmed[-1]
        return acked


class FakeSender:
    """Sends nothing before the test says that the broker has confirmed it."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.headers: list[dict[str, str]] = []
        self._unconfirmed: list[Deferred[None]] = []

    def forward(self, destination: str, headers: dict[str, str], body: bytes) -> Deferred[None]:
        self.headers.append(headers)
        self.sent.append(Outgoing(message.read(Frame("MESSAGE", headers, body), 0.0), destination))
        self._unconfirmed.append(Deferred())
        return self._unconfirmed[-1]

    async def send_surely(self, jobs: Sequence[Outgoing], wanted: Callable[[], bool]) -> bool:
        self.sent += jobs
        confirmed: Deferred[None] = Deferred()
        self._unconfirmed.append(confirmed)
        await confirmed
        return True

    def confirm(self) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        for each in unconfirmed:
            each.callback(None)

    def lose(self) -> None:
        """The connection is lost before anything more is confirmed."""
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        for each in unconfirmed:
            each.errback(NotConnected())

    def destinations(self) -> list[tuple[str, str | None]]:
        return [(out.job.id, out.destination and out.destination.removeprefix(TOPOLOGY.base)) for out in self.sent]


class FakeNotes:
    """What a test notes."""

    def __init__(self) -> None:
        self.noted = SharedStateSnapshot()
        self.written: list[Deferred[None]] = []

    async def refresh(self) -> None:
        """Nothing new."""

    async def write(self, action: Callable[[Any], Any]) -> None:
        """Not durable before the test says so."""
        self.written.append(Deferred())
        await self.written[-1]


class RouterBench:
    """A sorter with all that it works with."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.consumer = FakeConsumer()
        self.sender = FakeSender()
        self.notes = FakeNotes()
        self.inbox = Inbox()
        self.buried: list[Letter] = []
        self.bad_items: list[tuple[str, str]] = []
        self.main = self.source(TOPOLOGY.of_group("main"), sifted=True)
        self.sorter = Router(
            self.clock,
            TOPOLOGY,
            Mover(self.sender),  # type: ignore[arg-type]
            self.notes,  # type: ignore[arg-type]
            self._bury,
            self.inbox,
            self.inbox.add,
            Random(7),
            lambda queue, site: self.bad_items.append((queue, site)),
        )

    def source(self, destination: str, sifted: bool = False, alone: bool = False) -> Source:
        return Source(destination, "main", self.consumer, sifted, alone)  # type: ignore[arg-type]

    def arrive(self, *jobs: Job, source: Source | None = None, **headers: str) -> None:
        """Messages come, over the connection that is up."""
        for job in jobs:
            written, body = message.write(job)
            self.sorter.arrived(
                Frame("MESSAGE", {**written, **headers}, body), source or self.main, self.consumer.epoch
            )

    def waiting(self) -> list[str]:
        return sorted(arrival.job.id for arrival in self.inbox.waiting())

    async def _bury(self, letter: Letter) -> None:
        self.buried.append(letter)


def job(job_id: str, site: str = "alpha", queue: str = "q", **more: Any) -> Job:
    return Job(job_id, site, queue, b"1", created=1.0, **more)
