"""A farm on each kind of broker, for the contract suite."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from snqd.core.job import JSON
from snqd.stomp.login import Login
from snqd.stores.interface import Claimed
from snqd.stores.morgue.morgue import SqliteMorgue
from snqd.stores.morgue.writer import MorgueWriter
from snqd.stores.stomp.brokers import Brokers, broker_of
from snqd.stores.stomp.shared_state import FileSharedState
from snqd.stores.stomp.store import StompStore
from snqd.stores.stomp.topology import Breakouts, Topology
from tests.contract.bench import Bench, Process
from tests.contract.pushed import Gate, PatientStore
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.rabbitmq import RabbitMq

_FARMS = itertools.count(1)


class PushedProcess(Process):
    """A process that jobs are pushed to, once it has asked for some."""

    def woken(self) -> Deferred[None]:
        """Fires at the next wake."""
        woken = super().woken()
        Deferred.fromCoroutine(self.store.listens()).addErrback(woken.errback)
        return woken

    async def claim_when_due(self, queue: str = "q") -> list[Claimed]:
        """What a queue manager does, which is woken when a delayed job is due."""
        while not (claimed := await self.claim(10, queue)):
            await self.woken()
        return claimed


class BrokerBench(Bench):
    """A farm of its own on the broker of its kind that all tests share."""

    server: type[Broker]
    process_class = PushedProcess
    store_class = StompStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broker = running(self.server)
        self.groups: dict[str, str] = {}
        self.bad_items: list[tuple[str, str]] = []
        self.breakouts: Breakouts = {}
        self.unserved: set[str] = set()
        self.wire = JSON
        self.topology = Topology(
            f"/queue/{folder.name}.{next(_FARMS)}.",
            lambda queue: self.groups.get(queue, "main"),
            lambda: self.breakouts,
            lambda queue: queue not in self.unserved,
        )

    @classmethod
    def missing(cls) -> str:
        lacking = cls.server.missing()
        return f"needs {lacking}" if lacking and not os.environ.get("CI") else ""

    def make(self, name: str, **options: Any) -> PatientStore:
        broker = broker_of(reactor, f"127.0.0.1:{self.broker.port}")
        listening, sending = Gate(broker.endpoint), Gate(broker.endpoint)
        login = Login(self.broker.username, self.broker.password)
        listen, send = (attrs.evolve(broker, endpoint=gate) for gate in (listening, sending))
        brokers = Brokers([listen], send, login, self.wire)
        notes = FileSharedState(self.folder / "morgue.db")
        morgue = MorgueWriter(reactor, SqliteMorgue(self.folder / "morgue.db"))
        bad_item = lambda *names: self.bad_items.append(names)  # noqa: E731
        store = StompStore(reactor, brokers, self.topology, name, notes, morgue, random.Random(), bad_item)
        return PatientStore(store, self, listening, sending)


class RabbitMqBench(BrokerBench):
    kind = "rabbitmq"
    server = RabbitMq


class ActiveMqBench(BrokerBench):
    kind = "activemq"
    server = ActiveMq
