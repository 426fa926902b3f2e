"""Farm leases: what a store that hosts share keeps of what runs once in the whole farm."""

from __future__ import annotations

from zope.interface import Interface

from snqd.core.farm_lease import Holding


class IFarmLeases(Interface):
    """Keeps one :class:`~snqd.core.farm_lease.Holding` a name, for one thread at a time; connects at its first use.

    Every method but `close` raises :class:`~snqd.core.errors.StoreError` where the store does not take part.
    """

    def lease_of(name: str) -> Holding | None:
        """What is kept under `name`, None if nothing ever was."""

    def exchange_lease(name: str, found: Holding | None, new: Holding) -> bool:
        """Keep `new` if `found` is still kept under `name`; whether it was."""

    def close() -> None:
        """Disconnect."""
