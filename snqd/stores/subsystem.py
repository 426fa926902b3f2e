"""ISubsystem: the door to one kind of store, behind which all its parts lie.

Each kind has its door in ``snqd/stores/NAME/subsystem.py``; :mod:`snqd.stores.factory` lists them. A door imports a
part when it hands it out, so a program that only enqueues does not load the daemon's side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from random import Random
from typing import Any

import attrs
from zope.interface import Attribute, Interface

from snqd.config.database_url import sqlite_file, without_password
from snqd.config.settings import QueueSettings, Settings
from snqd.core.job import JSON
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlListener, IControlPublisher
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.interface import IStore


def _ignored(queue: str, site: str) -> None:
    """The default of :attr:`StoreContext.bad_item`."""


@attrs.frozen
class StoreContext:
    """What a store needs to know of its process.

    :ivar owner: the process's name, new at each start.
    :ivar suspects_of: the ids of the jobs that the process of that name was running, by its crash ledger.
    :ivar current: the settings in force; groups and breakouts may change while the store is open.
    :ivar bad_item: called for each dead letter that the store makes of a message that it cannot decode, with queue and
        site as far as they are known.
    """

    reactor: Any
    owner: str
    suspects_of: Callable[[str], Collection[str]]
    random: Random
    current: Callable[[], Settings]
    bad_item: Callable[[str, str], object] = _ignored


class ISubsystem(Interface):
    """One kind of store, as the settings describe it. Nothing is opened before it is used."""

    name = Attribute("What the manual calls the store.")
    promises = Attribute("What its stores promise: :class:`snqd.stores.interface.Promises`.")
    place = Attribute("Where the store is, as ``snqctl check`` shows it: without a password.")

    def store(context: StoreContext) -> IStore:
        """The store for one process of the daemon.

        :raises ConfigError: if a file that it needs can't be read.
        """

    def blocking_queue() -> IBlockingQueue:
        """The store for a program without a reactor."""

    def problems() -> Iterable[str]:
        """Connect, and tell what is wrong; for ``snqctl check``. Makes nothing that is missing.

        :raises StoreError: if the store does not take part; says why.
        :raises ConfigError: if a file that it needs can't be read.
        """

    def notes() -> Iterable[tuple[str, str]]:
        """Keys of ``[queue]`` about which the operator is told something that is no error, such as that they have no
        effect on this kind of store; for ``snqctl check``, where :meth:`problems` has found none."""


class IControlChannel(Interface):
    """A subsystem that daemons of several hosts share, through which a command reaches all of them."""

    def farm_leases() -> IFarmLeases | None:
        """Where the daemons agree on which of them runs what the farm has only once; None where they can't."""

    def control_listener(reactor: Any, random: Random) -> IControlListener:
        """Hears the commands, in one process of the daemon.

        :raises ConfigError: if a file that it needs can't be read.
        """

    def control_publisher() -> IControlPublisher:
        """Sends a command, from a program without a reactor."""


def database_place(url: str) -> str:
    """A database as ``snqctl check`` shows it: without its password, and whether its file is still to be made."""
    path = sqlite_file(url)
    return f"{without_password(url)}{' (made when it is first needed)' if path and not path.exists() else ''}"


def probe(queue: IBlockingQueue) -> Iterable[str]:
    """Read from a store that keeps all in one place, which finds what is wrong with it."""
    try:
        if queue.exists():
            queue.pauses()
            queue.depths()
    finally:
        queue.close()
    return ()


def notes_unless_read_by_others(queue: QueueSettings) -> Iterator[tuple[str, str]]:
    """The notes of a store that no other program reads, and that hands jobs out site by site."""
    without_effect = f"is without effect on subsystem {queue.subsystem}"
    if queue.breakout:
        yield "breakout", f"{without_effect}, which takes jobs site by site anyway"
    if queue.wire != JSON:
        yield "wire", f"{without_effect}, whose jobs no PHP daemon reads"
