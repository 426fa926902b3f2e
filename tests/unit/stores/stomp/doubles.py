"""The rooms around the one that a test looks at: a broker's side, a sender, notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from snqd.core.job import Job
from snqd.stomp.frame import Frame
from snqd.stores.morgue import Letter
from snqd.stores.stomp import message
from snqd.stores.stomp.consumer import Source
from snqd.stores.stomp.dialects import Dialect, RabbitMq
from snqd.stores.stomp.inbox import Arrival, Inbox
from snqd.stores.stomp.notes import Noted
from snqd.stores.stomp.sender import Outgoing
from snqd.stores.stomp.sorter import Sorter
from snqd.stores.stomp.topology import Topology

TOPOLOGY = Topology("/queue/snqd.", lambda queue: "main", is_served=lambda queue: queue != "strange")


@attrs.define(eq=False)
class FakeConsumer:
    """Keeps what is settled, as long as the connection is the one that brought it."""

    dialect: Dialect = attrs.field(factory=RabbitMq)
    epoch: int = 1
    sources: dict[str, Source] = attrs.field(factory=dict)
    acked: list[str] = attrs.field(factory=list)

    def listen(self, source: Source, prefetch: int) -> None:
        self.sources[source.destination] = source
        source.prefetch += prefetch

    def shrink(self, source: Source, prefetch: int) -> None:
        source.prefetch = prefetch

    def ack(self, arrival: Arrival) -> bool:
        if arrival.epoch != self.epoch:
            return False
        self.acked.append(arrival.job.id)
        return True


class FakeSender:
    """Sends nothing before the test says that the broker has confirmed it."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self._unconfirmed: list[Deferred[None]] = []

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

    def destinations(self) -> list[tuple[str, str | None]]:
        return [(out.job.id, out.destination and out.destination.removeprefix(TOPOLOGY.base)) for out in self.sent]


class FakeNotes:
    """What a test notes."""

    def __init__(self) -> None:
        self.noted = Noted()
        self.written: list[Deferred[None]] = []

    async def refresh(self) -> None:
        """Nothing new."""

    async def write(self, action: Callable[[Any], Any]) -> None:
        """Not durable before the test says so."""
        self.written.append(Deferred())
        await self.written[-1]


class SorterBench:
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
        self.sorter = Sorter(
            self.clock,
            TOPOLOGY,
            self.sender,  # type: ignore[arg-type]
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
