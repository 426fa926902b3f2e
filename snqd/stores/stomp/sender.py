"""Sender: messages to the broker, each confirmed by a RECEIPT; on a connection of its own, since brokers block the
connections of those who send, and acknowledgements must not wait behind that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, FirstError, fail, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.core.job import JSON, Job
from snqd.pipe.periodic import PeriodicCall
from snqd.stomp.connection import StompConnection
from snqd.stomp.errors import BrokerError, ProtocolError
from snqd.stores.stomp import message
from snqd.stores.stomp.brokers import Brokers
from snqd.stores.stomp.confirm_watch import ConfirmWatch
from snqd.stores.stomp.dialects import BrokerDialect, Plain, SendTarget, dialect_of
from snqd.stores.stomp.topology import Topology

PROBE = "snq-probe"
"""A header of messages that are no jobs: they make a queue, or mark a place in it; whoever gets one settles it."""
_MAX_REFUSALS = 3
_LOOK_EVERY = 1.0


@attrs.frozen
class Outgoing:
    """A job to send.

    :ivar destination: where to, None for where its queue's jobs go.
    :ivar delay: seconds that it waits before that, where the broker can do so.
    :ivar accused: see :data:`snqd.stores.stomp.message.ACCUSED`.
    """

    job: Job
    destination: str | None = None
    delay: float = 0.0
    accused: str = ""


class Sender:
    """Sends jobs to one of `brokers`."""

    log = Logger()

    def __init__(self, reactor: Any, brokers: Brokers, random: Random, topology: Topology) -> None:
        self._topology = topology
        self._wire = brokers.wire
        self._made: set[str] = set()
        self._made_in = 0
        self._dialect: BrokerDialect = Plain()
        broker = brokers.send
        self._watch = ConfirmWatch(reactor, broker.name)
        self._looking = PeriodicCall(reactor, self._watch.look)
        self._connection = StompConnection(
            reactor, broker.endpoint, brokers.login, random, f"{broker.name} for sending", on_up=self._up
        )

    def start(self) -> Deferred[None]:
        """Connect; fires when the first attempt has succeeded or failed."""
        self._looking.start(_LOOK_EVERY, now=False)
        return self._connection.start()

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        if self._looking.running:
            self._looking.stop()
        return self._connection.stop()

    async def send(self, jobs: Sequence[Outgoing]) -> None:
        """Send `jobs`; returns when all are confirmed.

        :raises StoreUnavailable: if the broker does not confirm all of them; it may have taken some.
        """
        if self._connection.protocol is not None:
            await self._connection.protocol.room()
        try:
            await gatherResults([self._send(each) for each in jobs], consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()

    async def send_once(self, jobs: Sequence[Outgoing]) -> None:
        """Send `jobs`, and say of which it is not known whether the broker has them.

        :raises Unconfirmed: if that is so of some.
        :raises StoreUnavailable: if nothing was sent, or the only job was refused.
        """
        protocol = self._connection.protocol
        if protocol is None:
            raise self._connection.absence()
        await protocol.room()
        results: Any = await DeferredList([self._send(each) for each in jobs], consumeErrors=True)
        errors = [result.value for good, result in results if not good]
        if errors and len(jobs) == 1 and isinstance(errors[0], BrokerError):
            raise errors[0]
        if errors:
            ids = [(good, out.job.id) for (good, _), out in zip(results, jobs, strict=True)]
            accepted, unknown = ([each for good, each in ids if good is wanted] for wanted in (True, False))
            raise Unconfirmed(str(errors[0]), accepted, unknown) from errors[0]

    async def send_surely(self, jobs: Sequence[Outgoing], wanted: Callable[[], bool]) -> bool:
        """Send `jobs`, over as many connections as it takes; False once they are not `wanted` any more.

        :raises StoreError: if the broker refuses them again and again.
        """
        refusals = 0
        while wanted():
            try:
                await self.send(jobs)
            except BrokerError as error:
                refusals += 1
                if refusals == _MAX_REFUSALS:
                    raise StoreError(str(error)) from error
            except ProtocolError as error:
                raise StoreError(f"the job can't be sent: {error}") from error
            except StoreUnavailable as error:
                self.log.debug("{number} messages are sent again: {error}", number=len(jobs), error=error)
            else:
                return True
            await self._connection.up()
        return False

    def forward(self, destination: str, headers: dict[str, str], body: bytes) -> Deferred[None]:
        """Send a message of snqd's own to `destination`; fires when it is confirmed, fails with a StoreError if not.

        :param headers: see :func:`snqd.stores.stomp.message.forwarded`.
        """
        try:
            return self._sent(self._dialect.destination(destination), headers, body)
        except ProtocolError as error:
            return fail(StoreError(f"the job can't be sent: {error}"))

    @property
    def trouble(self) -> str | None:
        """Why the broker takes nothing now, None while it does."""
        return self._connection.trouble or self._watch.trouble

    @property
    def peer(self) -> Any:
        """See :attr:`StompConnection.peer`."""
        return self._connection.peer

    def mark(self, destination: str) -> Deferred[None]:
        """Send what is no job and need not arrive; fires when the broker has it on disk.

        :param destination: as the broker calls it.
        """
        return self._sent(destination, {PROBE: "1", "persistent": "true", "expiration": "1"}, b"")

    def _up(self) -> None:
        protocol = self._connection.protocol
        if protocol is not None and protocol.connected_frame is not None:
            self._dialect = dialect_of(protocol.connected_frame)

    def _send(self, out: Outgoing) -> Deferred[None]:
        if self._made_in != self._connection.epoch:
            self._made_in = self._connection.epoch
            self._made.clear()
        *probes, (headers, body) = frames_of(self._dialect, self._topology, out, self._made, self._wire)
        for probe, nothing in probes:
            # Same connection, so the broker makes the queue before it takes what follows; a failure fails that too.
            made = self._connection.send(probe.pop("destination"), probe, nothing)
            made.addErrback(lambda failure: failure.trap(StoreUnavailable))
        return self._sent(headers.pop("destination"), headers, body)

    def _sent(self, destination: str, headers: dict[str, str], body: bytes) -> Deferred[None]:
        def confirmed(nothing: None) -> None:
            self._watch.confirmed()

        def lost(failure: Failure) -> Failure:
            self._watch.lost()
            return failure

        sending = self._connection.send(destination, headers, body)
        self._watch.sent()  # not before: what can't be said is never confirmed
        return sending.addCallbacks(confirmed, lost)


def frames_of(
    dialect: BrokerDialect, topology: Topology, out: Outgoing, made: set[str], wire: str
) -> list[tuple[dict[str, str], bytes]]:
    """Headers and bodies of the SENDs for `out`: its own, and before it what makes a queue that it will expire into.

    :param made: queues that were made over this connection already; added to.
    :param wire: how to write where other programs read too: see :data:`snqd.config.values.WIRES`.
    :raises BadPayload, PayloadTooLarge: if the payload can't be written so.
    """
    target = None
    if out.delay > 0:
        target = dialect.delayed(topology, topology.group_of(out.job.queue), out.delay)
    is_shared = target is None and out.destination is None
    if target is None:
        target = SendTarget(dialect.destination(out.destination or topology.of_job(out.job.queue, out.job.site)))
    # In destinations of snqd's own a job stays as it is.
    headers, body = message.write(out.job, out.accused, wire if is_shared else JSON)
    frames = [({"destination": target.destination, **headers, **target.headers}, body)]
    if target.needs and target.needs not in made:
        made.add(target.needs)
        frames.insert(0, ({"destination": target.needs, PROBE: "1", "expiration": "1"}, b""))
    return frames
