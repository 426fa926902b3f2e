"""ItemPoller: takes over the rows of the ``queue_item`` tables on one database server, site by site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Protocol

import attrs
from sqlalchemy.engine import URL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.backoff import Backoff
from snqd.core.clocks import monotonic_of
from snqd.core.errors import SnqdError, StoreError, StoreUnavailable
from snqd.core.job import Job
from snqd.gnusocial.queue_item_jobs import job_of, letter_of
from snqd.gnusocial.queue_item_pace import CleanupSchedule, IdleBackoff, TableIntake, pause_after
from snqd.gnusocial.queue_item_places import Accounts
from snqd.gnusocial.queue_item_tables import (
    Failed,
    ItemTable,
    LockedRows,
    QueueItem,
    QueueItems,
    QueueItemScan,
    Tidied,
    is_lost,
)
from snqd.io.io_manager import IoManager
from snqd.stores.interface import Depth
from snqd.stores.morgue.morgue import Letter

HOLD = 20.0
"""Seconds for which rows stay locked while the store does not answer; PHP daemons wait for them so long."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
"""Seconds between two tries of a server that is away."""
SITES_SHOWN = 5
FULL_ROUND = 100
"""Rows from which on a round is followed by another at once; fewer are left to gather for a moment."""


class Items(Protocol):
    """:class:`snqd.gnusocial.queue_item_tables.QueueItems`, whose methods these are."""

    name: str

    def connect(self) -> None: ...
    def look(self, tables: Sequence[ItemTable]) -> QueueItemScan: ...
    def take(self, tables: Sequence[ItemTable]) -> LockedRows: ...
    def commit(self) -> None: ...
    def release(self) -> None: ...
    def tidy(self, table: ItemTable, age: float) -> Tidied: ...
    def close(self) -> None: ...


@attrs.frozen
class Outlets:
    """Where rows go.

    :ivar enqueue: the store's; fires when jobs are durable.
    :ivar depths: the store's.
    :ivar bury: the morgue's.
    :ivar bad_item: told the queue and site of each row that is buried.
    """

    enqueue: Callable[[Sequence[Job]], Deferred[None]]
    depths: Callable[[], Awaitable[list[Depth] | None]]
    bury: Callable[[Letter], Deferred[None]]
    bad_item: Callable[[str, str], object]


class ItemPoller(IoManager):
    """Goes round the tables of one server on one connection, again and again.

    :param name: the server's.
    :param in_thread: calls a blocking function, one at a time.
    :param age: of the claims that are taken for stale, in seconds.
    :param open_items: makes the way to an account's tables.
    """

    log = Logger()
    poll_interval = 1.0

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        outlets: Outlets,
        in_thread: Callable[..., Awaitable[Any]],
        age: float,
        open_items: Callable[[URL], Items] = QueueItems,
    ) -> None:
        super().__init__()
        self.setName(name)  # type: ignore[no-untyped-call]
        self._clock = clock
        self._outlets = outlets
        self._in_thread = in_thread
        self._age = age
        self._open_items = open_items
        self._accounts: Accounts = {}
        self._url: URL | None = None
        self._items: Items | None = None
        self._quiet = False
        self._not_before = 0.0
        self._backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, Random())
        self._rests = IdleBackoff(monotonic_of(clock), Random())
        self._tidy_times = CleanupSchedule(monotonic_of(clock))
        self._intake = TableIntake(monotonic_of(clock))
        self._left_alone: set[tuple[str, str]] = set()

    def serve(self, accounts: Accounts) -> None:
        """Go round these from the next round on."""
        self._accounts = accounts
        self._rests.keep(table.site for tables in accounts.values() for table in tables)

    def quiet(self) -> None:
        """Take nothing more."""
        self._quiet = True

    def poll(self) -> Deferred[bool]:
        """Go round once, unless it is too early; fires with whether there was so much that there must be more."""
        return Deferred.fromCoroutine(self._poll())

    async def close(self) -> None:
        """Disconnect; what a round under way has locked is free."""
        if self._items is not None:
            items, self._items, self._url = self._items, None, None
            await self._in_thread(items.close)

    async def _poll(self) -> bool:
        started = self._clock.seconds()
        if started < self._not_before:
            return False
        try:
            taken = await self._round()
        except StoreError as error:
            self._failed(error)
            return False
        if self._backoff.failures:
            self._backoff.succeeded()
            self.log.info("queue_item rows on {server} are taken over again", server=self.name)
        if not taken:
            self._not_before = self._clock.seconds() + pause_after(self._clock.seconds() - started)
        return taken >= FULL_ROUND

    def _failed(self, error: StoreError) -> None:
        first = not self._backoff.failures
        self._not_before = self._clock.seconds() + self._backoff.failed()
        if first:
            self.log.error(
                "queue_item rows on {server} wait in their tables, and are tried again: {error}",
                server=self.name,
                error=error,
            )

    async def _round(self) -> int:
        taken = 0
        for url, tables in list(self._accounts.items()):
            portions = self._rests.portions(tables)
            if portions and not self._quiet and (items := await self._log_in(url, tables)):
                for portion in portions:
                    taken += await self._visit(items, portion)
        return taken

    async def _log_in(self, url: URL, tables: Sequence[ItemTable]) -> Items | None:
        """The way to the account's tables; None if the server refuses it."""
        if self._items is None or url != self._url:
            await self.close()
            self._items, self._url = self._open_items(url), url
        items = self._items
        try:
            await self._in_thread(items.connect)
        except StoreError as error:
            if is_lost(error):
                raise
            self._refused(tables, error)
            return None
        return items

    async def _visit(self, items: Items, tables: Sequence[ItemTable]) -> int:
        look: QueueItemScan = await self._in_thread(items.look, tables)
        self._note(tables, look.failed)
        if self._intake.wants_depths(look.found):
            self._intake.learn(await self._outlets.depths())
        left = self._intake.with_room(look.found)
        taken = 0
        while left and not self._quiet:
            haul: LockedRows = await self._in_thread(items.take, left)
            self._note((), haul.failed)
            taken += await self._hand_over(items, haul.items)
            left = left[haul.visited :]
        await self._tidy(items, [table for table in tables if table not in [each for each, _ in look.failed]])
        return taken

    async def _hand_over(self, items: Items, rows: Sequence[QueueItem]) -> int:
        """Rows that are taken become jobs; only then is it for good that they left their tables."""
        if not rows:
            return 0
        try:
            jobs = [(row, await self._job(row)) for row in rows]
            await self._accepted([job for _, job in jobs if job is not None])
        except BaseException:
            await self._in_thread(items.close)
            raise
        await self._in_thread(items.commit)
        self._intake.took(Counter(row.table.site for row in rows))
        for row, job in jobs:
            if job is None:
                self._outlets.bad_item(row.transport, row.table.site)
        return len(rows)

    async def _job(self, row: QueueItem) -> Job | None:
        """The job that a row is; None if it is none, and then it lies in the morgue."""
        try:
            return job_of(row)
        except SnqdError as error:
            await self._outlets.bury(letter_of(row, str(error)))
            self.log.error(
                "row {row} of site {site}'s queue_item is a dead letter: {error}",
                row=row.id,
                site=row.table.site,
                error=error,
            )
            return None

    def _accepted(self, jobs: Sequence[Job]) -> Deferred[None]:
        """Fires when the store has `jobs`; fails when it has not for long, though it may have them yet. Then their
        rows, which are taken again, are those same jobs once more."""
        done: Deferred[None] = Deferred()

        def late() -> None:
            done.errback(StoreUnavailable(f"the store has not accepted {len(jobs)} jobs for {HOLD:g} s"))

        timer = self._clock.callLater(HOLD, late)

        def answered(result: Any) -> None:
            if not timer.active():
                return
            timer.cancel()
            if isinstance(result, Failure):
                done.errback(result)
            else:
                done.callback(None)

        self._outlets.enqueue(jobs).addBoth(answered)
        return done

    async def _tidy(self, items: Items, tables: Sequence[ItemTable]) -> None:
        for table in self._tidy_times.due(tables, self._age):
            if self._quiet:
                return
            try:
                self._tell(table, await self._in_thread(items.tidy, table, self._age))
            except StoreError as error:
                if is_lost(error):
                    raise
                self._note((), [(table, error)])

    def _tell(self, table: ItemTable, tidied: Tidied) -> None:
        if tidied.freed:
            self.log.warn(
                "{number} rows of site {site}'s queue_item were claimed more than {age} s ago, and are free again",
                number=tidied.freed,
                site=table.site,
                age=self._age,
            )
        for transport in tidied.others:
            if (table.site, transport) not in self._left_alone:
                self._left_alone.add((table.site, transport))
                self.log.warn(
                    "rows of site {site}'s queue_item stay there: no handler here serves their transport {transport}",
                    site=table.site,
                    transport=transport,
                )

    def _note(self, tables: Sequence[ItemTable], failed: Failed) -> None:
        """Who can be read again, and who can't."""
        bad = {table.site: error for table, error in failed}
        for table in tables:
            if table.site not in bad and self._rests.fine(table.site):
                self.log.info("the queue_item of site {site} can be read again", site=table.site)
        for site, error in bad.items():
            if self._rests.failed(site, str(error)):
                self.log.error(
                    "the queue_item of site {site} is left alone for a while: {error}", site=site, error=error
                )

    def _refused(self, tables: Sequence[ItemTable], error: StoreError) -> None:
        sites = [table.site for table in tables if self._rests.failed(table.site, str(error))]
        if sites:
            more = f" and {len(sites) - SITES_SHOWN} more" if len(sites) > SITES_SHOWN else ""
            self.log.error(
                "the queue_item of site {sites} is left alone for a while, since its account is refused: {error}",
                sites=", ".join(sites[:SITES_SHOWN]) + more,
                error=error,
            )
