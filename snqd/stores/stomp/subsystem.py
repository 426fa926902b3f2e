"""StompSubsystem: the door to jobs on STOMP brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
from zope.interface import implementer

from snqd.config.group_sections import MAIN
from snqd.config.settings import Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.interface import IStore, Promises
from snqd.stores.stomp.topology import Topology
from snqd.stores.subsystem import IControlChannel, ISubsystem, StoreContext

if TYPE_CHECKING:
    from snqd.stores.stomp.shared_state import SharedState


@implementer(ISubsystem, IControlChannel)
@attrs.frozen
class StompSubsystem:
    """Jobs on one or more brokers; suspects and pauses lie beside the morgue; commands go to a topic on each broker."""

    settings: Settings
    name = "STOMP brokers"

    @property
    def promises(self) -> Promises:
        """See :attr:`ISubsystem.promises`."""
        from snqd.stores.stomp.store import StompStore

        return StompStore.promises

    @property
    def place(self) -> str:
        """See :attr:`ISubsystem.place`."""
        return ", ".join(self.settings.queue.stomp.servers)

    def store(self, context: StoreContext) -> IStore:
        """See :meth:`ISubsystem.store`."""
        from snqd.stores.morgue.subsystem import make_morgue
        from snqd.stores.morgue.writer import MorgueWriter
        from snqd.stores.stomp.brokers import brokers_of
        from snqd.stores.stomp.store import StompStore

        queue = self.settings.queue
        return StompStore(
            context.reactor,
            brokers_of(context.reactor, queue.stomp, queue.wire_of_jobs),
            topology_of(context.current),
            context.owner,
            self._shared_state(),
            MorgueWriter(context.reactor, make_morgue(queue), queue.dead_letter_dir),
            context.random,
            context.bad_item,
            lambda: context.current().queue.timeout,
        )

    def blocking_queue(self) -> IBlockingQueue:
        """See :meth:`ISubsystem.blocking_queue`."""
        from snqd.stores.stomp.blocking import StompQueue

        queue = self.settings.queue
        return StompQueue(queue.stomp, topology_of(lambda: self.settings), self._shared_state(), queue.wire_of_jobs)

    def problems(self) -> Iterable[str]:
        """See :meth:`ISubsystem.problems`."""
        from snqd.stores.stomp.blocking import problems_of

        stomp = self.settings.queue.stomp
        with closing(self.blocking_queue()) as queue:
            queue.pauses()
            if stomp.manual_failover:
                yield from problems_of(stomp)  # jobs are taken from every broker: one that answers is not enough
            else:
                queue.depths()
        if stomp.management:
            from snqd.stores.stomp.brokers import login_of
            from snqd.stores.stomp.limits import complaints
            from snqd.stores.stomp.management import look

            host = look(stomp.management, login_of(stomp))
            yield from complaints(host, topology_of(lambda: self.settings), self.settings.groups)

    def notes(self) -> Iterable[tuple[str, str]]:
        """See :meth:`ISubsystem.notes`; nobody knows what a broker with limits drops unless it can be asked."""
        from snqd.stores.stomp.blocking import may_have_limits
        from snqd.stores.stomp.limits import unknown

        if not self.settings.queue.stomp.management and may_have_limits(self.settings.queue.stomp):
            yield "stomp_management", unknown(topology_of(lambda: self.settings), self.settings.groups)

    def control_listener(self, reactor: Any, random: Random) -> IControlListener:
        """See :meth:`IControlChannel.control_listener`."""
        from snqd.stores.stomp.control import StompControlListener

        return StompControlListener(reactor, self.settings.queue.stomp, self.settings.queue.control_channel, random)

    def farm_leases(self) -> IFarmLeases | None:
        """See :meth:`IControlChannel.farm_leases`."""
        if self.settings.queue.morgue_file is not None:
            return None  # a broker keeps no such thing, and that file is this host's alone
        from snqd.stores.sql.farm_lease_table import FarmLeaseTable

        return FarmLeaseTable(self.settings.queue.morgue, self.settings.queue.queue_basename)

    def control_publisher(self) -> IControlPublisher:
        """See :meth:`IControlChannel.control_publisher`."""
        from snqd.stores.stomp.control import StompControlPublisher

        return StompControlPublisher(self.settings.queue.stomp, self.settings.queue.control_channel)

    def _shared_state(self) -> SharedState:
        queue = self.settings.queue
        if queue.morgue_file is None:
            from snqd.stores.stomp.sql_shared_state import SqlSharedState

            return SqlSharedState(queue.morgue)
        from snqd.stores.stomp.shared_state import FileSharedState

        return FileSharedState(queue.morgue_file)


def topology_of(current: Callable[[], Settings]) -> Topology:
    """The names of the farm's destinations.

    :param current: the settings in force, by which queues change groups and breakouts come and go.
    """

    def group_of(queue: str) -> str:
        group = current().group_of(queue)
        return MAIN if group is None else group.name

    def is_served(queue: str) -> bool:
        return current().group_of(queue) is not None

    return Topology(current().queue.queue_basename, group_of, lambda: current().queue.breakout, is_served)
