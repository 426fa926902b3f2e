"""RedisSubsystem: the door to the store in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.config.settings import Settings
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.interface import IStore, Promises
from snqd.stores.redis.names import prefix_of
from snqd.stores.subsystem import IControlChannel, ISubsystem, StoreContext, notes_unless_read_by_others, probe

if TYPE_CHECKING:
    from snqd.stores.redis.blocking import RedisQueue


@implementer(ISubsystem, IControlChannel)
@attrs.frozen
class RedisSubsystem:
    """Jobs in one Redis; commands are published on a channel there."""

    settings: Settings
    name = "Redis"

    @property
    def promises(self) -> Promises:
        """See :attr:`ISubsystem.promises`."""
        from snqd.stores.redis.store import RedisStore

        return RedisStore.promises

    @property
    def place(self) -> str:
        """See :attr:`ISubsystem.place`."""
        return str(self._address)

    def store(self, context: StoreContext) -> IStore:
        """See :meth:`ISubsystem.store`; it also provides :class:`~snqd.stores.redis.interface.IScriptRunner`."""
        from snqd.stores.redis.store import RedisStore

        return RedisStore(
            context.reactor,
            self._address,
            self._prefix,
            context.owner,
            lease=self.settings.queue.lease,
            suspects_of=context.suspects_of,
            random=context.random,
        )

    def blocking_queue(self) -> IBlockingQueue:
        """See :meth:`ISubsystem.blocking_queue`."""
        return self._queue()

    def problems(self) -> Iterable[str]:
        """See :meth:`ISubsystem.problems`."""
        return probe(self.blocking_queue())

    def notes(self) -> Iterable[tuple[str, str]]:
        """See :meth:`ISubsystem.notes`."""
        return notes_unless_read_by_others(self.settings.queue)

    def control_listener(self, reactor: Any, random: Random) -> IControlListener:
        """See :meth:`IControlChannel.control_listener`."""
        from snqd.stores.redis.control import RedisControlListener

        return RedisControlListener(reactor, self._address, self._prefix, random)

    def farm_leases(self) -> IFarmLeases:
        """See :meth:`IControlChannel.farm_leases`."""
        return self._queue()

    def control_publisher(self) -> IControlPublisher:
        """See :meth:`IControlChannel.control_publisher`."""
        return self._queue()

    def _queue(self) -> RedisQueue:
        from snqd.stores.redis.blocking import RedisQueue

        return RedisQueue(self._address, self._prefix)

    @property
    def _address(self) -> RedisAddress:
        address = self.settings.queue.redis
        assert address is not None  # the configuration refuses the subsystem without it
        return address

    @property
    def _prefix(self) -> str:
        return prefix_of(self.settings.queue.queue_basename)
