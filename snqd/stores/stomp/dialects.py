"""Dialects: what brokers do each in their own way; see docs/stomp.rst for what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from snqd.stomp.frame import Frame
from snqd.stores.stomp.topology import Topology, rung_for

_QUEUE = "/queue/"


@attrs.frozen
class SendTarget:
    """Where to send a message, and with which further headers.

    :ivar needs: a destination that must exist before, or the message is lost.
    """

    destination: str
    headers: dict[str, str] = attrs.field(factory=dict)
    needs: str = ""


class BrokerDialect(Protocol):
    """One kind of broker.

    :ivar topic: headers of a SUBSCRIBE to a topic, whose queue then ends with the connection.
    :ivar nack_requeues: whether NACK puts a message back to its place.
    :ivar unsubscribe_frees: whether what is unsettled goes back at the end of its subscription, and not at that of the
        connection; None where that is not known.
    :ivar lump: with one part in so many of what may be unsettled here it may have sent all that it sends for now.
    :ivar moves: about as many jobs a second one process can move from a queue to a lane.
    :ivar keeps_transactions: whether it has SENDs of a confirmed transaction on disk, and all or none of any other.
    :ivar buffers_acks: whether acknowledgements stay in its memory until the queue rests or has a message to confirm.
    """

    topic: Mapping[str, str]
    nack_requeues: bool
    unsubscribe_frees: bool | None
    keeps_transactions: bool
    buffers_acks: bool
    lump: int
    moves: float

    def destination(self, name: str) -> str:
        """The name as the broker can take it."""

    def prefetch(self, number: int) -> dict[str, str]:
        """Headers of a SUBSCRIBE to which at most `number` unsettled messages are sent."""

    def delayed(self, topology: Topology, group: str, seconds: float) -> SendTarget | None:
        """Where a message waits that is due in `seconds`; None if the broker can't hold it, or not for so short."""


class RabbitMq:
    """RabbitMQ: delays by queues whose messages expire into another. No slash within a name."""

    # Of the queues that end with a connection, RabbitMQ 4 may be told to refuse those that are not exclusive.
    topic: Mapping[str, str] = {"exclusive": "true", "auto-delete": "true", "durable": "false"}
    nack_requeues = True
    unsubscribe_frees: bool | None = False
    keeps_transactions = False
    buffers_acks = True
    lump = 1
    moves = 2500.0

    def destination(self, name: str) -> str:
        """See :class:`BrokerDialect`."""
        rest = name.removeprefix(_QUEUE)
        return name if rest == name else _QUEUE + rest.replace("/", "%2F")

    def prefetch(self, number: int) -> dict[str, str]:
        """See :class:`BrokerDialect`."""
        return {"prefetch-count": str(number)}

    def delayed(self, topology: Topology, group: str, seconds: float) -> SendTarget | None:
        """See :class:`BrokerDialect`; the first SEND makes the delay queue, and all others must describe it alike."""
        rung = rung_for(seconds)
        if rung is None:
            return None
        due = self.destination(topology.due(group))
        headers = {
            "x-message-ttl": str(rung * 1000),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": due.removeprefix(_QUEUE).replace("%2F", "/"),
        }
        return SendTarget(self.destination(topology.delay(group, rung)), headers, needs=due)


MAX_SCHEDULED_DELAY = 30 * 86_400.0
"""Seconds: what is due later comes back then, and is sent once more. ActiveMQ hangs up on a number Java lacks."""


class ActiveMq:
    """ActiveMQ: a scheduler for delays. NACK makes a dead letter of the broker's."""

    topic: Mapping[str, str] = {}
    nack_requeues = False
    unsubscribe_frees: bool | None = True
    keeps_transactions = True
    buffers_acks = False
    lump = 2
    moves = 500.0

    def destination(self, name: str) -> str:
        """See :class:`BrokerDialect`."""
        return name

    def prefetch(self, number: int) -> dict[str, str]:
        """See :class:`BrokerDialect`."""
        return {"activemq.prefetchSize": str(number)}

    def delayed(self, topology: Topology, group: str, seconds: float) -> SendTarget | None:
        """See :class:`BrokerDialect`."""
        delay_ms = round(min(seconds, MAX_SCHEDULED_DELAY) * 1000)
        return SendTarget(topology.due(group), {"AMQ_SCHEDULED_DELAY": str(delay_ms)}) if delay_ms > 0 else None


class Plain:
    """Any other broker: what is delayed stays with the child that got it, unsettled, until it is due."""

    topic: Mapping[str, str] = {}
    nack_requeues = False
    unsubscribe_frees: bool | None = None
    keeps_transactions = False
    buffers_acks = False
    lump = 1
    moves = 500.0

    def destination(self, name: str) -> str:
        """See :class:`BrokerDialect`."""
        return name

    def prefetch(self, number: int) -> dict[str, str]:
        """See :class:`BrokerDialect`; both brokers' ways, since a header that a broker does not know does no harm."""
        return {"prefetch-count": str(number), "activemq.prefetchSize": str(number)}

    def delayed(self, topology: Topology, group: str, seconds: float) -> SendTarget | None:
        """See :class:`BrokerDialect`."""
        return None


def dialect_of(connected: Frame) -> BrokerDialect:
    """The dialect of the broker that sent this CONNECTED frame."""
    server = connected.headers.get("server", "").strip().lower()
    if server.startswith("rabbitmq/"):
        return RabbitMq()
    return ActiveMq() if server.startswith("activemq/") else Plain()


def has_default_limit(version: str) -> bool:
    """Whether quorum queues of that RabbitMQ have a limit by default, or may have one, since no version is known."""
    major = version.partition(".")[0]
    return not major.isdigit() or int(major) >= 4
