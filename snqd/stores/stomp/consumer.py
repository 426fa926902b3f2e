"""Consumer: what a process takes from one broker: a connection, where it listens, and how much it may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint

from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.core.tenure import LOST, Tenure
from snqd.stomp.connection import StompConnection, Subscription
from snqd.stomp.frame import Frame
from snqd.stomp.login import Login
from snqd.stomp.protocol import StompProtocol
from snqd.stores.stomp.dialects import BrokerDialect, Plain, dialect_of
from snqd.stores.stomp.message import ACCUSED

ACK_PATIENCE = 0.01
"""Seconds that an ACK may wait for others: each write wakes the broker, which costs both sides as much as some jobs."""
UNSENT_SHARE = 0.25
"""Of what a source may have here; once so many acknowledgements wait they go out, lest the broker has to wait."""
BRISK = 0.04
"""Seconds; a source that brings in fewer as many messages as may be here is let bring more at once. Jobs that take
nothing never pile up here, and with little room each would cost a write of its own on both sides."""


@attrs.define(eq=False)
class Source:
    """A destination that is listened to.

    :ivar group: whose jobs it holds.
    :ivar sifted: whether what floods it is moved to lanes.
    :ivar alone: whether its jobs are suspects.
    :ivar least: how many of its messages may be unsettled here when it has been at rest.
    :ivar prefetch: how many may be now, beside those that came before it was renewed.
    :ivar unsettled: how many are.
    :ivar received: how many have come so far.
    :ivar renewed: when its subscriptions began anew for the last time.
    :ivar left_over: how many messages are unsettled here that came before that.
    """

    destination: str
    group: str
    consumer: Consumer
    sifted: bool = False
    alone: bool = False
    least: int = 1
    prefetch: int = 0
    unsettled: int = 0
    received: int = 0
    renewed: float = 0.0
    left_over: int = 0
    _since: float = attrs.field(default=0.0, init=False)
    _received_before: int = attrs.field(default=0, init=False)

    def wants_room(self, now: float) -> bool:
        """Whether its prefetch holds it back: it is full, or fast enough to have been full within :data:`BRISK`."""
        if now - self._since > BRISK:
            self._since, self._received_before = now, self.received
        return self.is_full or self.received - self._received_before >= self.prefetch

    @property
    def is_full(self) -> bool:
        """Whether the broker sends nothing more from it for now, or may send nothing more."""
        return self.unsettled * self.consumer.dialect.lump >= self.most

    @property
    def most(self) -> int:
        """How many of its messages may be unsettled here now."""
        return self.prefetch + self.left_over

    @property
    def has_grown(self) -> bool:
        """Whether it is let bring more than at its beginning."""
        return self.prefetch > self.least

    @property
    def is_shut(self) -> bool:
        """Whether nothing comes before :meth:`Consumer.reopen`."""
        return not self.prefetch


@attrs.define(eq=False)
class Arrival:
    """A message that the broker has sent and nobody has settled.

    :ivar epoch: of the connection that brought it; only that one can settle it.
    :ivar at: when it came.
    """

    job: Job
    message: Frame
    source: Source
    epoch: int
    at: float = 0.0

    @property
    def accused(self) -> str:
        """See :data:`snqd.stores.stomp.message.ACCUSED`."""
        return self.message.headers.get(ACCUSED, "")


class Consumer:
    """Listens to sources on one broker.

    :param nowhere: a destination to which nobody sends anything.
    :param on_message: called with each message, its source and the epoch of the connection.
    :param on_up: called when a connection counts.
    :param on_down: called with the epoch of a connection that was lost.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        login: Login,
        random: Random,
        name: str,
        nowhere: str,
        on_message: Callable[[Frame, Source, int], object],
        on_up: Callable[[], object],
        on_down: Callable[[int], object],
    ) -> None:
        self._reactor = reactor
        self._on_message = on_message
        self._told_up = on_up
        self._told_down = on_down
        self._nowhere = nowhere
        self._shares: dict[str, tuple[Source, int]] = {}
        self._names = count(1)
        self._early: list[tuple[Frame, int]] = []
        self._connection = StompConnection(
            reactor,
            endpoint,
            login,
            random,
            name,
            self._arrived,
            self._came_up,
            self._went_down,
            self._subscriptions,
        )
        self._acked: set[str] = set()
        self.dialect: BrokerDialect = Plain()
        self.epoch = 0
        self.sources: dict[str, Source] = {}

    def start(self) -> Deferred[None]:
        """Connect; fires when the first attempt has succeeded or failed."""
        return self._connection.start()

    def stop(self) -> Deferred[None]:
        """Disconnect; the broker gives to others what is unsettled."""
        return self._connection.stop()

    def listen(self, source: Source, prefetch: int) -> None:
        """Take up to `prefetch` messages more from `source`."""
        self.sources[source.destination] = source
        narrow = [name for name in self._names_of(source) if self._shares[name][1] <= 1]
        if narrow and self.dialect.unsubscribe_frees is False:
            self._subscribe_again(narrow[0], self._shares[narrow[0]][1] + prefetch)
        else:
            # More room is a further subscription, since brokers can't change one.
            self._subscribe(str(next(self._names)), source, prefetch)

    def shrink(self, source: Source, prefetch: int) -> None:
        """Take up to `prefetch` messages from `source` from now on, of which none may be unsettled.

        What is on its way meanwhile must not stay unsettled here: where nobody knows, all stays as it is. Where it
        stays here at the end of its subscription, that begins anew at once, so that no less than one message comes for
        each that there is.
        """
        names = self._names_of(source)
        if self.dialect.unsubscribe_frees:
            for name in names:
                self._unsubscribe(name)
            self.listen(source, prefetch)
        elif self.dialect.unsubscribe_frees is False and source.prefetch > max(prefetch, len(names)):
            self._subscribe_again(names[0], max(prefetch - len(names) + 1, 1))
            for name in names[1:]:
                self._subscribe_again(name, 1)

    def give_back(self, source: Source, arrivals: Sequence[Arrival], shut: bool) -> None:
        """Give `arrivals` of `source` back to a broker that puts them to their places, in their order, and take as few
        more of it as can be: with `shut` none before :meth:`reopen`.

        What goes back while a subscription has room comes again at once. So all of them end first; but RabbitMQ must
        know their names for what is settled later. They listen to where nobody sends anything.
        """
        for name in self._names_of(source):
            self._subscribe_again(name, 0)
        for arrival in arrivals:
            self.nack(arrival)
        source.left_over, source.renewed = source.unsettled, self._reactor.seconds()
        if not shut:
            self.reopen(source)

    def reopen(self, source: Source) -> None:
        """Take a message of a source again that is shut, and more when they are wanted."""
        self._subscribe_again(self._names_of(source)[0], 1)

    def ack(self, arrival: Arrival) -> bool:
        """Settle `arrival`; False if its connection is gone, and so is the right to settle it."""
        protocol = self._answering(arrival)
        if protocol is not None:
            if arrival.job.id:
                self._acked.add(arrival.source.destination)
            may_wait = protocol.unsent + 1 < arrival.source.prefetch * UNSENT_SHARE
            protocol.ack(arrival.message, ACK_PATIENCE if may_wait else 0.0)
        return protocol is not None

    async def ack_surely(self, arrival: Arrival) -> bool:
        """Settle `arrival`, and wait until the broker has confirmed that; False if its connection is gone before."""
        protocol = self._answering(arrival)
        if protocol is None:
            return False
        if arrival.job.id:
            self._acked.add(arrival.source.destination)
        try:
            await protocol.ack_surely(arrival.message)
        except StoreUnavailable:
            return False
        return True

    def nack(self, arrival: Arrival) -> bool:
        """Give `arrival` back to the broker; False if its connection is gone."""
        protocol = self._answering(arrival)
        if protocol is not None:
            protocol.nack(arrival.message)
        return protocol is not None

    def take_acked(self) -> list[str]:
        """The destinations, as the broker calls them, of which jobs were acknowledged since the last call."""
        acked, self._acked = self._acked, set()
        return [self.dialect.destination(each) for each in acked]

    @property
    def trouble(self) -> str | None:
        """See :attr:`StompConnection.trouble`."""
        return self._connection.trouble

    @property
    def tenure(self) -> Tenure:
        """Of what has come over the present connection."""
        protocol = self._connection.protocol
        return protocol.tenure.tenure if protocol is not None else LOST

    def renew(self) -> Deferred[None]:
        """Fires when the tenure holds on, or has ended with the connection."""
        protocol = self._connection.protocol
        return protocol.tenure.renew() if protocol is not None else succeed(None)

    @property
    def peer(self) -> Any:
        """See :attr:`StompConnection.peer`."""
        return self._connection.peer

    def _answering(self, arrival: Arrival) -> StompProtocol | None:
        """The session that `arrival` is to be settled over, where it is settled from now on; None if that is gone."""
        protocol = self._connection.protocol
        if protocol is None or arrival.epoch != self.epoch:
            return None
        source = arrival.source
        source.unsettled -= 1
        if source.left_over and arrival.at <= source.renewed:
            source.left_over -= 1
        return protocol

    def _subscriptions(self, connected: Frame) -> list[Subscription]:
        self.dialect = dialect_of(connected)
        return [self._subscription(name) for name in self._shares]

    def _subscription(self, name: str) -> Subscription:
        source, prefetch = self._shares[name]
        destination = source.destination if prefetch else self._nowhere
        return Subscription(name, self.dialect.destination(destination), self.dialect.prefetch(prefetch or 1))

    def _subscribe(self, name: str, source: Source, prefetch: int) -> None:
        source.prefetch += prefetch
        self._shares[name] = (source, prefetch)
        self._connection.subscribe(self._subscription(name))

    def _unsubscribe(self, name: str) -> None:
        source, prefetch = self._shares.pop(name)
        source.prefetch -= prefetch
        ended = self._connection.unsubscribe(name, self.dialect.destination(source.destination))
        ended.addErrback(lambda failure: failure.trap(StoreUnavailable))  # with the connection

    def _subscribe_again(self, name: str, prefetch: int) -> None:
        """Let a subscription end and begin anew, with another prefetch.

        RabbitMQ closes the connection when it finds a message, or an ACK, for a name that it does not know. Frames that
        come together it processes together, before any message: both of these go out in one write, under one name.
        """
        source, _ = self._shares[name]
        self._unsubscribe(name)
        self._subscribe(name, source, prefetch)

    def _names_of(self, source: Source) -> list[str]:
        return [name for name, (of, _) in self._shares.items() if of is source]

    def _arrived(self, message: Frame, epoch: int) -> None:
        if self._connection.protocol is None:
            self._early.append((message, epoch))  # not before the connection counts: there would be no way to settle it
            return
        share = self._shares.get(message.headers.get("subscription", ""))
        if share is not None:
            share[0].unsettled += 1
            share[0].received += 1
            self._on_message(message, share[0], epoch)

    def _came_up(self) -> None:
        self.epoch = self._connection.epoch
        self._told_up()
        early, self._early = self._early, []
        for message, epoch in early:
            if epoch == self.epoch:
                self._arrived(message, epoch)

    def _went_down(self) -> None:
        for source in self.sources.values():
            source.unsettled = source.left_over = 0
        epoch, self.epoch = self.epoch, 0
        self._told_down(epoch)
