"""StompConnection: a connection to a broker that is made again for ever, with its subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, FirstError, fail, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.core.backoff import Backoff
from snqd.core.errors import SnqdError
from snqd.stomp.errors import NotConnected
from snqd.stomp.frame import Frame
from snqd.stomp.login import Login
from snqd.stomp.protocol import StompProtocol

FIRST_DELAY = 0.25
LONGEST_DELAY = 4.0
"""Seconds between attempts."""
LONGEST_UNREACHED = 0.5
"""The same while nobody answers there at all, which costs nobody anything: a broker that is back is found within this.
"""
MAX_COMPLAINTS = 10
"""Of so many kinds of failure in turn each is logged once."""
_EPOCHS = count(1)


@attrs.frozen
class Subscription:
    """Something to subscribe to.

    :ivar name: its id; no other subscription of the same connection has it.
    :ivar headers: further ones, such as how many messages may be under way.
    """

    name: str
    destination: str
    headers: Mapping[str, str] = attrs.field(factory=dict)


class StompConnection:
    """Connects, and after each loss again, with back-off.

    A connection counts once the broker has answered to CONNECT and confirmed every subscription. Each has an epoch, a
    number that no other connection of this process has.

    :param name: how the broker is called in messages.
    :param on_message: called with each MESSAGE and the epoch of the connection that brought it.
    :param on_up: called when a connection counts.
    :param on_down: called when one that counted is lost.
    :param subscriptions: asked at each connection, with the broker's CONNECTED frame, for what to subscribe to.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        login: Login,
        random: Random,
        name: str,
        on_message: Callable[[Frame, int], object] = lambda message, epoch: None,
        on_up: Callable[[], object] = lambda: None,
        on_down: Callable[[], object] = lambda: None,
        subscriptions: Callable[[Frame], Iterable[Subscription]] = lambda connected: (),
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._login = login
        self._name = name
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, random)
        self._subscriptions = subscriptions
        self._complaints: list[str] = []
        self._reached = False
        self._stopping = False
        self._first_attempt: Deferred[None] = Deferred()
        self._waiting: list[Deferred[StompProtocol]] = []
        self._running: Deferred[None] | None = None
        self._in_handshake: StompProtocol | None = None
        self._subscribed: StompProtocol | None = None
        self._step: Deferred[Any] | None = None
        self.protocol: StompProtocol | None = None
        self.epoch = 0

    def start(self) -> Deferred[None]:
        """Begin; fires when the first attempt has succeeded or failed."""
        self._running = Deferred.fromCoroutine(self._run())
        return self._first_attempt

    def stop(self) -> Deferred[None]:
        """Disconnect for good, once the broker has processed what was sent; fires then."""
        return Deferred.fromCoroutine(self._stop())

    def up(self) -> Deferred[StompProtocol]:
        """Fires with the connection once there is one; fails with NotConnected at :meth:`stop`."""
        waiting: Deferred[StompProtocol] = Deferred()
        if self.protocol is not None:
            waiting.callback(self.protocol)
        elif self._stopping:
            waiting.errback(NotConnected(f"the connection to {self._name} is closed"))
        else:
            self._waiting.append(waiting)
        return waiting

    def subscribe(self, subscription: Subscription) -> None:
        """Subscribe on this connection, if there is one; if the broker does not confirm it, that costs the connection.

        At the next one the subscription must be among those that are asked for. A connection that does not count yet is
        this one already, once they have been asked for.
        """
        if self._subscribed is not None:
            self._subscribe(self._subscribed, subscription).addErrback(self._refused, self._subscribed)

    def unsubscribe(self, name: str, destination: str) -> Deferred[None]:
        """End a subscription on this connection; fires when the broker has confirmed it, fails with NotConnected if the
        connection is lost before.

        Otherwise as :meth:`subscribe`: at the next one the subscription must not be among those that are asked for.
        """
        if self._subscribed is None:
            return fail(NotConnected(f"there is no connection to {self._name}"))
        return self._subscribed.unsubscribe(name, destination)

    def send(self, destination: str, headers: Mapping[str, str], body: bytes) -> Deferred[None]:
        """SEND; fires when confirmed, fails with a StoreUnavailable if there is no connection or it is lost before."""
        if self.protocol is None:
            return fail(self.absence())
        return self.protocol.send(destination, headers, body)

    @property
    def trouble(self) -> str | None:
        """Why there is no connection, once that has shown; None while there is one."""
        return str(self.absence()) if self.protocol is None and self._complaints else None

    def absence(self) -> NotConnected:
        """What whoever needs the connection is told while there is none."""
        return NotConnected(f"there is no connection to {self._name}: {self._complaint or 'not yet'}")

    @property
    def peer(self) -> Any:
        """The address of the broker that it is connected to, None while it is not."""
        return self.protocol and self.protocol.transport.getPeer()

    async def _stop(self) -> None:
        self._stopping = True
        protocol = self.protocol or self._in_handshake
        if protocol is not None:
            await protocol.disconnect()
        elif self._step is not None:
            self._step.cancel()
        if self._running is not None:
            await self._running
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.errback(NotConnected(f"the connection to {self._name} is closed"))

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._connect_once()
            except CancelledError:
                break
            except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt may do better
                self._complain(error)
            if not self._first_attempt.called:
                self._first_attempt.callback(None)
            if not self._stopping:
                await self._pause()
        if not self._first_attempt.called:
            self._first_attempt.callback(None)

    async def _pause(self) -> None:
        delay = self._backoff.failed()
        self._step = deferLater(self._reactor, delay if self._reached else min(delay, LONGEST_UNREACHED))
        try:
            await self._step
        except CancelledError:
            self._stopping = True
        finally:
            self._step = None

    async def _connect_once(self) -> None:
        """Connect, and stay until the connection is lost."""
        self.epoch = epoch = next(_EPOCHS)
        factory = Factory.forProtocol(
            lambda: StompProtocol(self._reactor, self._login, lambda frame: self._on_message(frame, epoch))
        )
        factory.noisy = False
        self._reached = False
        self._step = self._endpoint.connect(factory)
        try:
            protocol: Any = await self._step
            self._reached = True
        finally:
            self._step = None
        await self._prepare(protocol)
        since = self._reactor.seconds()
        self._count(protocol)
        reason = await protocol.lost
        self._lost(reason)
        if self._reactor.seconds() - since > LONGEST_DELAY:
            self._backoff.succeeded()  # not before: it may be a broker that throws everybody out

    async def _prepare(self, protocol: StompProtocol) -> None:
        self._in_handshake = protocol
        try:
            await self._subscribe_all(protocol, await protocol.ready)
        except BaseException as error:
            self._subscribed = None
            protocol.drop(error if isinstance(error, SnqdError) else NotConnected(str(error)))
            raise
        finally:
            self._in_handshake = None

    async def _subscribe_all(self, protocol: StompProtocol, connected: Frame) -> None:
        confirmed = [self._subscribe(protocol, each) for each in self._subscriptions(connected)]
        self._subscribed = protocol
        try:
            await gatherResults(confirmed, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()

    def _subscribe(self, protocol: StompProtocol, subscription: Subscription) -> Deferred[None]:
        return protocol.subscribe(subscription.name, subscription.destination, subscription.headers)

    def _refused(self, failure: Any, protocol: StompProtocol) -> None:
        protocol.drop(failure.value)

    def _count(self, protocol: StompProtocol) -> None:
        self.protocol = protocol
        self.log.info("connected to {name}", name=self._name)
        self._complaints.clear()
        self._on_up()  # first of all: what others do once they may send depends on which broker this is
        if not self._first_attempt.called:
            self._first_attempt.callback(None)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(protocol)

    def _lost(self, reason: SnqdError) -> None:
        self.protocol = self._subscribed = None
        self.epoch = 0
        if not self._stopping:
            self._complain(reason)
        self._on_down()

    @property
    def _complaint(self) -> str:
        """What was wrong last."""
        return self._complaints[-1] if self._complaints else ""

    def _complain(self, error: Exception) -> None:
        """Say what is wrong, each thing once until there is a connection: of several brokers each may have its own."""
        text = str(error) or type(error).__name__
        if text in self._complaints:
            self._complaints.remove(text)
        else:
            self.log.error("no connection to {name}, and it is tried again: {error}", name=self._name, error=text)
        self._complaints = [*self._complaints[1 - MAX_COMPLAINTS :], text]
