"""What of a child the whole farm may have but once, and the keeper that sees to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from snqd.child.farm_lease_keeper import FarmLeaseKeeper
from snqd.config.settings import Settings
from snqd.core.clocks import boot_time
from snqd.core.farm_lease import FarmLease
from snqd.io.interface import IIoManager, Scope
from snqd.io.threads import ManagerThreads
from snqd.pipe.child_spec import EXCLUSIVE, ChildSpec
from snqd.stores.factory import control_channel_of
from snqd.stores.farm_leases import IFarmLeases


class OnceInFarm:
    """Makes the keeper of a child that needs one.

    :param reactor: for the keeper.
    """

    def __init__(self, reactor: Any, settings: Settings, spec: ChildSpec) -> None:
        self._reactor = reactor
        self._settings = settings
        self._spec = spec
        self._lease = FarmLease(spec.incarnation, settings.queue.lease, boot_time, spec.gone)

    def may_begin(self) -> Callable[[], bool]:
        """Tells whether the queue manager may begin a job now."""
        if self._spec.role != EXCLUSIVE or farm_leases_of(self._settings) is None:
            return lambda: True
        return lambda: self._lease.held

    def keeper(self, managers: Iterable[IIoManager]) -> FarmLeaseKeeper | None:
        """The keeper that `managers` need, None if they need none or if the store is this daemon's alone."""
        key = self._key(managers)
        leases = farm_leases_of(self._settings) if key is not None else None
        if key is None or leases is None:
            return None
        threads = ManagerThreads(self._reactor, key)
        seconds = self._settings.queue.lease
        return FarmLeaseKeeper(self._reactor, leases, threads.call, key, self._lease, seconds, threads.close)

    def _key(self, managers: Iterable[IIoManager]) -> str | None:
        if self._spec.role == EXCLUSIVE:
            return f"group:{self._spec.group}"
        if any(manager.scope is Scope.SINGLE_ONLY for manager in managers):
            return f"once:{self._spec.group}"
        return None


def farm_leases_of(settings: Settings) -> IFarmLeases | None:
    """Where daemons agree on what runs once; None where the store is one daemon's alone, or keeps no leases."""
    channel = control_channel_of(settings)
    return channel.farm_leases() if channel is not None else None
