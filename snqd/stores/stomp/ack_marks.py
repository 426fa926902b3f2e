"""AckMarks: keeps what was acknowledged from coming back with a broker that is killed.

RabbitMQ keeps acknowledgements in its memory while a queue is busy, for seconds and thousands of them, but writes them
with the next message that it has to confirm. So a busy queue gets an empty one now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.python.failure import Failure

from snqd.core.errors import StoreUnavailable
from snqd.pipe.periodic import PeriodicCall
from snqd.stores.stomp.consumer import Consumer
from snqd.stores.stomp.sender import Sender

MARK_EVERY = 0.1
"""Seconds between marks in a queue of which jobs are acknowledged."""


class AckMarks:
    """Marks the queues of brokers that need it, where the sender is connected to the same one."""

    def __init__(self, reactor: Any, sender: Sender, consumers: Sequence[Consumer]) -> None:
        self._sender = sender
        self._consumers = consumers
        self._unconfirmed: set[str] = set()
        self._loop = PeriodicCall(reactor, self._mark)

    def start(self) -> None:
        """Begin."""
        self._loop.start(MARK_EVERY, now=False)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def _mark(self) -> None:
        # A broker that blocks those who send confirms nothing, and must not get more and more.
        if self._unconfirmed:
            return
        for consumer in self._consumers:
            if consumer.dialect.buffers_acks and consumer.peer == self._sender.peer is not None:
                for destination in consumer.take_acked():
                    self._send(destination)

    def _send(self, destination: str) -> None:
        def confirmed(result: Failure | None) -> None:
            self._unconfirmed.discard(destination)
            if isinstance(result, Failure):
                result.trap(StoreUnavailable)  # and what was acknowledged may come back

        self._unconfirmed.add(destination)
        self._sender.mark(destination).addBoth(confirmed)
