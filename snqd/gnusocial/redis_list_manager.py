"""GnuSocialLists: takes over what GNU social 2 puts into Redis lists, one for each site, called by the site's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from snqd.core.clocks import unix_time
from snqd.core.errors import SnqdError, StoreError
from snqd.core.job import PHP, Job, check_size, digest_id
from snqd.core.names import check_queue
from snqd.io.interface import Scope
from snqd.io.io_manager import IoManager
from snqd.sites.registry import SiteRegistry
from snqd.stores.morgue.morgue import Letter
from snqd.stores.morgue.writer import MorgueWriter
from snqd.wire.envelope import open_envelope

PREFIX = "gnusocial:"
LISTS_AT_ONCE = 500
UNKNOWN = "unknown"
"""The queue of a dead letter that names none."""


class Lists(Protocol):
    """:class:`snqd.gnusocial.redis_lists.ForeignLists`."""

    def look(self, names: Sequence[str]) -> Awaitable[dict[str, list[bytes]]]:
        """The first items of those of the lists that have any."""

    def take(self, name: str, items: Sequence[tuple[bytes, Job | None]]) -> Awaitable[int]:
        """Take items off a list, as jobs or, without one, for good."""


class GnuSocialLists(IoManager):
    """Sweeps the lists of all sites. PHP daemons may take from them at the same time.

    :param lists: where they are.
    :param morgue: for items that can't be decoded; they lie there before they leave their list.
    :param bad_item: told the queue and site of each such item.
    """

    log = Logger()
    scope = Scope.SINGLE_ONLY
    poll_interval = 1.0

    def __init__(
        self, sites: SiteRegistry, lists: Lists, morgue: MorgueWriter, bad_item: Callable[[str, str], object]
    ) -> None:
        super().__init__()
        self._sites = sites
        self._lists = lists
        self._morgue = morgue
        self._bad_item = bad_item
        self._quiet = False

    def poll(self) -> Deferred[bool]:
        """Sweep each list once; fires with whether there was anything."""
        return Deferred.fromCoroutine(self._poll())

    def quiet(self) -> None:
        """Take nothing more."""
        self._quiet = True

    async def _poll(self) -> bool:
        by_list = {PREFIX + record.name: record.nickname for record in self._sites.records()}
        names = list(by_list)
        hit = False
        for first in range(0, len(names), LISTS_AT_ONCE):
            if self._quiet:
                break
            found = await self._lists.look(names[first : first + LISTS_AT_ONCE])
            for name, items in found.items():
                hit = await self._sweep(name, by_list[name], items) or hit
        return hit

    async def _sweep(self, name: str, site: str, items: Sequence[bytes]) -> bool:
        jobs = [(item, await self._job(site, item)) for item in items]
        try:
            taken = await self._lists.take(name, jobs)
        except StoreError as error:
            self.log.warn("the list {name} of site {site} is swept later: {error}", name=name, site=site, error=error)
            return False
        for _, job in jobs if taken else ():
            if job is None:
                self._bad_item(UNKNOWN, site)
        return taken > 0

    async def _job(self, site: str, item: bytes) -> Job | None:
        """The job in `item`; None if there is none, and then it lies in the morgue."""
        try:
            return read_item(site, item)
        except SnqdError as error:
            await self._morgue.bury(self._letter(site, item, str(error)))
            self.log.error(
                "an item of GNU social's list of site {site} is a dead letter: {error}", site=site, error=error
            )
            return None

    def _letter(self, site: str, item: bytes, reason: str) -> Letter:
        now = unix_time()
        key = digest_id(item, "")
        return Letter(key, site, UNKNOWN, item, PHP, attempts=0, created=now, died=now, reason=reason)


def read_item(site: str, item: bytes) -> Job:
    """The job of `site` that a list item is: GNU social 2's ``serialize([queue, object])``.

    :raises SnqdError: if it is none.
    """
    envelope: Any = open_envelope(check_size(item))
    if envelope is None or not envelope.queue:
        raise SnqdError("it is no item of GNU social's: serialize([queue, object])")
    check_queue(envelope.queue)
    return Job(digest_id(item, ""), site, envelope.queue, envelope.payload, PHP, unix_time())
