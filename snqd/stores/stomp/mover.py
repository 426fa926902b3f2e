"""Mover: jobs that go from one destination to another: sent there first, and acknowledged when that is confirmed."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.errors import StoreUnavailable
from snqd.stores.stomp import message as messages
from snqd.stores.stomp.consumer import Arrival
from snqd.stores.stomp.sender import Outgoing, Sender

T = TypeVar("T")


class Mover:
    """Moves jobs, and knows what is under way."""

    log = Logger()

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._under_way: set[Deferred[Any]] = set()

    def move(self, arrival: Arrival, destination: str) -> None:
        """Send the job elsewhere, as it is."""
        headers = messages.forwarded(arrival.message)
        if headers is None:
            self._send_surely(arrival, Outgoing(arrival.job, destination))
            return
        # Nothing more than this: of a flood there are tens of thousands.
        sent = self._sender.forward(destination, headers, arrival.message.body)
        self._under_way.add(sent)
        sent.addBoth(self._forwarded, sent, arrival, destination)

    def send_again(self, arrival: Arrival, delay: float = 0.0) -> None:
        """Send the job to where jobs of its queue go now.

        :param delay: seconds that it waits before that.
        """
        self._send_surely(arrival, Outgoing(arrival.job, None, delay, arrival.accused))

    async def replace(self, arrival: Arrival, jobs: list[Outgoing]) -> bool:
        """Send `jobs`, and then acknowledge `arrival`; False if its connection was lost meanwhile.

        :raises StoreError: if the jobs can't be sent at all.
        """
        sent = await self._sender.send_surely(jobs, lambda: is_current(arrival))
        return sent and arrival.source.consumer.ack(arrival)

    async def replace_surely(self, arrival: Arrival, jobs: list[Outgoing]) -> bool:
        """As :meth:`replace`, and wait until the broker has confirmed the acknowledgement."""
        sent = await self._sender.send_surely(jobs, lambda: is_current(arrival))
        return sent and await arrival.source.consumer.ack_surely(arrival)

    def begin(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        """Begin `work`, which is under way until it has ended."""
        done = Deferred.fromCoroutine(work)
        self._under_way.add(done)

        def ended(result: T | Failure) -> T | Failure:
            self._under_way.discard(done)
            return result

        return done.addBoth(ended)

    def begin_alone(self, work: Coroutine[Any, Any, Any]) -> None:
        """The same for what nobody waits for."""
        self.begin(work).addErrback(self._failed)

    def under_way(self) -> list[Deferred[Any]]:
        """What has not ended yet."""
        return list(self._under_way)

    def _send_surely(self, arrival: Arrival, out: Outgoing) -> None:
        self.begin_alone(self.replace(arrival, [out]))

    def _forwarded(self, result: Failure | None, sent: Deferred[None], arrival: Arrival, destination: str) -> None:
        self._under_way.discard(sent)
        if result is None:
            arrival.source.consumer.ack(arrival)
        elif result.check(StoreUnavailable):
            self._send_surely(arrival, Outgoing(arrival.job, destination, accused=arrival.accused))
        else:
            self._failed(result)

    def _failed(self, failure: Failure) -> None:
        if failure.check(StoreUnavailable) is None:
            self.log.failure("a message could not be sent where it belongs; the broker keeps it", failure)


def is_current(arrival: Arrival) -> bool:
    """Whether the connection that brought it can still settle it."""
    return arrival.source.consumer.epoch == arrival.epoch
