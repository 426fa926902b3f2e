"""SqlStore: PostgreSQL or MariaDB behind the Store's interface, on a writer thread with group commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from snqd.core.backoff import Backoff
from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.core.job import Job
from snqd.core.lease_watch import LeaseWatch
from snqd.core.tenure import LeaseLost
from snqd.stores.group_commit import Operation, Writer
from snqd.stores.interface import Claim, Depth, IStore, Pauses, Promises, Receipt, Want
from snqd.stores.lease import Lease, Rounds
from snqd.stores.settlement import Settlement
from snqd.stores.settlement_queue import SettlementQueue
from snqd.stores.sql.bells import BELLS, Doorbell, Notifications, SqlBell
from snqd.stores.sql.claim import SqlFairClaim
from snqd.stores.sql.claim_session import ClaimSession, OneStatementClaim
from snqd.stores.sql.database import SqlDatabase
from snqd.stores.sql.dialects import CommitLost, LoginRefused
from snqd.stores.sql.postgresql import TAKE_ONLY_SHARE, TAKE_ONLY_SHARE_TYPES
from snqd.stores.sql.prepared import PreparedStatement
from snqd.stores.sql.statements import Added
from snqd.stores.standby import Standby

BEATS_A_LEASE = 8
LOOKERS = 2
"""Threads for what need not wait for the writer: depths, looks, notifications."""

T = TypeVar("T")


@implementer(IStore)
class SqlStore:
    """Jobs in a database on a server, shared by the processes of any number of hosts.

    While the server is away, settlements wait and everything else fails at once; opening waits for it.

    :param url: SQLAlchemy's.
    :param state_dir: of this daemon, for the doorbells.
    :param owner: this process's name, new at each start; its crash ledger tells of it under this name.
    :param lease: seconds without a sign of life after which a process's claims are given to others.
    :param suspects_of: the ids of the jobs that the process of that name was running, as far as this host knows.
    """

    log = Logger()
    promises = Promises()

    def __init__(
        self,
        reactor: Any,
        url: str,
        state_dir: Path,
        owner: str,
        *,
        lease: float,
        suspects_of: Callable[[str], Collection[str]],
        random: Random | None = None,
    ) -> None:
        self._reactor = reactor
        self._random = random or Random()
        self._state_dir = state_dir
        self._owner_name = owner
        self._beat_interval = lease / BEATS_A_LEASE
        self._database = SqlDatabase(url)
        postgresql = self._database.server.postgresql
        at_once = PreparedStatement(reactor, TAKE_ONLY_SHARE, TAKE_ONLY_SHARE_TYPES) if postgresql else None
        self._owner = ClaimSession(self._database, self._random, at_once)
        self._writer: Writer[Connection] = Writer(reactor, self._owner, self._gather, self._owner.start)
        self._settling = SettlementQueue(
            reactor, self._random, self._owner.name, self._settle, self._settled, self._writer.flush_soon
        )
        self._fair_claim = SqlFairClaim(self._database.statements)
        # A beat late of its lease's last is none.
        self._lease = Lease(self._beat, self.recover, suspects_of, LeaseWatch(BEATS_A_LEASE - 1), lease)
        self._pending: list[Operation[Connection, Any]] = []
        self._pool = ThreadPool(0, LOOKERS, "snqd store")
        self._bell: SqlBell | None = None
        self._queues: set[str] = set()
        self._looking = False
        self._blind: str | None = None
        self._rounds = Rounds(reactor)
        self._put_look_off: Callable[[], None] = lambda: None

    @property
    def trouble(self) -> str | None:
        """See :attr:`IStore.trouble`."""
        return self._settling.trouble or self._writer.trouble or self._blind

    async def _open(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        self._standby = Standby(self._reactor, self._random, wake)
        try:
            await self._connect()
        except StoreError:
            await self._writer.close()
            raise
        await self._register()
        for danger in await self._do(self._database.server.dialect.dangers):
            self.log.error(
                "{name} may lose accepted jobs when its machine crashes: {danger}", name=self._owner.name, danger=danger
            )
        self._pool.start()
        self._bell = self._make_bell()
        await self._bell.start()
        self._put_look_off = self._rounds.start(self._bell.poll, self._look)
        self._rounds.start(self._beat_interval, self._lease.keep)

    async def _connect(self) -> None:
        try:
            await self._writer.open()
        except LoginRefused:
            raise
        except StoreUnavailable as error:
            await self._wait_for_server(error)

    async def _wait_for_server(self, error: StoreUnavailable) -> None:
        self.log.error("the database does not answer yet, and is tried again: {error}", error=error)
        backoff = Backoff(0.5, 5.0, self._random)
        while True:
            await deferLater(self._reactor, backoff.failed())
            try:
                return await self._do(lambda connection: None)
            except LoginRefused:
                raise
            except StoreUnavailable as still:
                self.log.warn("still waits for its store: {error}", error=still)

    def _make_bell(self) -> SqlBell:
        if self._database.server.postgresql:
            server = self._database.server
            return Notifications(self._reactor, server, self._by, self._in_thread, self._standby.heard, self._random)
        return Doorbell(self._reactor, self._state_dir / BELLS, self._by, self._standby.heard)

    async def _close(self) -> None:
        self._rounds.stop()
        self._settling.close()
        self._owner.leave()
        try:
            if self._owner.number:
                await self._do(lambda connection: self._database.recover(connection, self._owner_name, (), ""))
                await self._ring(None)
        finally:
            if self._bell is not None:
                self._bell.stop()
                self._standby.stop()
            await self._writer.close()
            if self._pool.started:
                self._pool.stop()

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        """See :meth:`IStore.open`."""
        return Deferred.fromCoroutine(self._open(wake))

    def close(self) -> Deferred[None]:
        """See :meth:`IStore.close`."""
        return Deferred.fromCoroutine(self._close())

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`."""

        def in_doubt(failure: Failure) -> None:
            failure.trap(CommitLost)
            raise Unconfirmed(failure.getErrorMessage(), (), [job.id for job in jobs]) from failure.value

        added = self._do(lambda connection: self._database.statements.insert(connection, jobs, self._by))
        return added.addCallbacks(self._changed, in_doubt)

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        """See :meth:`IStore.claim`."""
        self._queues.update(wants)
        claimed = self._claim(
            lambda connection: self._fair_claim.claim(connection, self._owner.number, wants),
            self._fair_claim.ask_at_once(wants),
        )
        return claimed.addCallback(self._look_after, wants)

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`."""
        return self._claim(lambda connection: self._fair_claim.claim_solo(connection, self._owner.number, queues))

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        return self._settling.ack(receipt, follow_ups)

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        return self._settling.retry(receipt, delay, reason, attempted)

    async def _give_back(self, receipts: Collection[Receipt]) -> None:
        for done in [self._settling.give_back(receipt) for receipt in receipts]:
            await done
        await self._ring(None)

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`."""
        return Deferred.fromCoroutine(self._give_back(receipts))

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`."""
        freed = self._do(lambda connection: self._database.recover(connection, owner, suspects, cause))
        return freed.addCallback(self._changed_otherwise)

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        return self._lease.renew()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        done = self._do(lambda connection: self._database.set_pause(connection, queue, site, paused))
        return done.addCallback(self._changed_otherwise)

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        return self._aside(self._database.pauses)

    def depths(self) -> Deferred[list[Depth]]:
        """See :meth:`IStore.depths`."""
        return self._aside(self._database.depths)

    def _do(self, action: Callable[[Connection], T], durable: bool = True) -> Deferred[T]:
        operation: Operation[Connection, T] = Operation(action, Deferred(), durable)
        self._pending.append(operation)
        self._writer.flush_soon()
        return operation.done

    def _aside(self, action: Callable[[Connection], T]) -> Deferred[T]:
        """Do what need not go with the next commit."""
        return self._in_thread(lambda: self._database.server.run(action))

    def _in_thread(self, call: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, call)

    def _gather(self) -> list[Operation[Connection, Any]]:
        operations, self._pending = self._pending, []
        return self._settling.gather() + operations

    def _changed(self, added: Added) -> None:
        """There are new jobs for this process and others."""
        self._ring(added)
        self._wake()

    def _changed_otherwise(self, result: T) -> T:
        self._ring(None)
        self._wake()
        return result

    def _ring(self, added: Added | None) -> Deferred[Any]:
        assert self._bell is not None
        rung = self._bell.ring(added)
        return rung.addErrback(lambda failure: self.log.debug("nobody was woken: {error}", error=failure.value))

    async def _register(self) -> None:
        asked = self._lease.now()
        number = await self._do(lambda connection: self._database.register(connection, self._owner_name))
        self._owner.number = number
        self._lease.begin(number, asked)

    def _claim(self, action: Callable[[Connection], Claim], at_once: Sequence[str] | None = None) -> Deferred[Claim]:
        def claim(connection: Connection) -> Claim:
            if not self._owner.known:
                raise LeaseLost
            return action(connection)

        async def again() -> Claim:
            self.log.warn("this process was silent for too long: its jobs were given to others")
            await self._register()
            return await self._claim(action, at_once)

        def lost(failure: Failure) -> Deferred[Claim]:
            failure.trap(LeaseLost)
            return Deferred.fromCoroutine(again())

        # A claim that a crash of the server undoes is one that nobody has any more.
        asked = claim if at_once is None else OneStatementClaim(claim, at_once, self._claimed_at_once)
        operation: Operation[Connection, Claim] = Operation(asked, Deferred(), durable=False)
        self._pending.append(operation)
        # Nothing comes to it by waiting for the end of this reactor turn, and an idle process's next job waits for it.
        self._writer.write_now()
        return operation.done.addCallbacks(self._held, lost)

    def _held(self, claim: Claim) -> Claim:
        self._lease.hold(claim.jobs)
        return claim

    def _claimed_at_once(self, rows: list[Any]) -> Claim | None:
        return self._fair_claim.claimed_at_once(self._owner.number, rows)

    def _look_after(self, claim: Claim, wants: Mapping[str, Want]) -> Claim:
        """Look once more after a claim that came short, but brought something: whoever added a job beside what was
        claimed here relied on that, and rang no bell."""
        self._blind = None
        self._standby.claimed(len(claim.jobs))
        if not claim.jobs and wants.keys() >= self._queues:
            self._put_look_off()  # that was one
        got = Counter([claimed.job.queue for claimed in claim.jobs])
        if any(number < wants[queue].room for queue, number in got.items()):
            self._reactor.callLater(0, self._look)  # when they have been started
        return claim

    def _look(self) -> None:
        """Find what no bell has told of."""
        self._put_look_off()
        if not self._looking:
            self._looking = True
            server, statements = self._database.server, self._database.statements
            found = self._in_thread(lambda: server.ask(lambda each: statements.is_ready(each, self._queues)))
            found.addBoth(self._looked)

    def _looked(self, found: bool | Failure) -> None:
        self._looking = False
        self._blind = str(found.value) if isinstance(found, Failure) else None
        if found is True:
            self._wake()

    @property
    def _by(self) -> str:
        return str(self._owner.number)

    def _settle(self, connection: Connection, settlement: Settlement) -> tuple[set[Receipt], Added]:
        return self._database.settle(connection, settlement, self._by)

    def _settled(self, settlement: Settlement, added: Added) -> None:
        if any(follow_ups for _, follow_ups in settlement.acks):
            self._changed(added)
        elif settlement.retries:
            self._wake()

    def _beat(self) -> Deferred[tuple[bool, list[tuple[str, int]]]]:
        number = self._owner.number
        # Its transaction is signed, which shows that this process lives, and whether it is known.
        return self._do(lambda connection: (self._owner.known, self._database.beats(connection, number)), durable=False)
