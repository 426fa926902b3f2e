"""The table of doors: which one leads to the store that the configuration asks for.

A store's modules are imported only if it is the one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snqd.config.settings import SQL, SQLITE, Settings
from snqd.stores.subsystem import IControlChannel, ISubsystem


def _sqlite(settings: Settings) -> ISubsystem:
    from snqd.stores.sqlite.subsystem import SqliteSubsystem

    return SqliteSubsystem(settings)


def _sql(settings: Settings) -> ISubsystem:
    from snqd.stores.sql.subsystem import SqlSubsystem

    return SqlSubsystem(settings)


def _redis(settings: Settings) -> ISubsystem:
    from snqd.stores.redis.subsystem import RedisSubsystem

    return RedisSubsystem(settings)


def _stomp(settings: Settings) -> ISubsystem:
    from snqd.stores.stomp.subsystem import StompSubsystem

    return StompSubsystem(settings)


DOORS: Mapping[str, Callable[[Settings], ISubsystem]] = {
    SQLITE: _sqlite,
    SQL: _sql,
    "redis": _redis,
    "stomp": _stomp,
}
"""By :attr:`snqd.config.settings.QueueSettings.kind`."""


def subsystem_of(settings: Settings) -> ISubsystem:
    """The door to the store of the jobs."""
    return DOORS[settings.queue.kind](settings)


def control_channel_of(settings: Settings) -> IControlChannel | None:
    """Where commands to all daemons on the store go; None where the store is this daemon's alone."""
    return IControlChannel(subsystem_of(settings), None) if settings.queue.enabled else None
