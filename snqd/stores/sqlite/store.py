"""The embedded store: SQLite behind the Store's interface, on a writer thread with group commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from snqd.core.clocks import unix_time
from snqd.core.job import Job
from snqd.core.lease_watch import LeaseWatch
from snqd.core.tenure import LeaseLost
from snqd.stores.doorbell import Ringer, bells_of
from snqd.stores.doorbell_listener import Bell
from snqd.stores.group_commit import Operation, Writer
from snqd.stores.interface import Claim, Depth, IStore, Pauses, Promises, Receipt, Want
from snqd.stores.lease import Lease, Rounds
from snqd.stores.settlement import Settlement
from snqd.stores.settlement_queue import SettlementQueue
from snqd.stores.sqlite import database
from snqd.stores.sqlite.claim import SqliteFairClaim
from snqd.stores.sqlite.connection import SqliteFile
from snqd.stores.sqlite.database import QueueDatabase

FOREIGN_POLL = 0.1
"""Seconds between looks for the commits of programs that ring no bell."""
BEATS_A_LEASE = 4

T = TypeVar("T")


@implementer(IStore)
class SqliteStore:
    """Jobs in one SQLite file, shared by the processes of this host.

    A settlement that the file refuses (disk full) is tried again for ever; everything else fails at once.

    :param path: the file.
    :param owner: this process's name, new at each start; its crash ledger tells of it under this name.
    :param lease: seconds without a sign of life after which a process's claims are given to others.
    :param suspects_of: the ids of the jobs that the process of that name was running.
    """

    log = Logger()
    promises = Promises()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        owner: str,
        *,
        lease: float,
        suspects_of: Callable[[str], Collection[str]],
        random: Random | None = None,
    ) -> None:
        self._reactor = reactor
        self._owner_name = owner
        self._beat_interval = lease / BEATS_A_LEASE
        self._file = QueueDatabase(path).file
        self._writer = Writer(reactor, self._file, self._gather)
        self._fair_claim = SqliteFairClaim()
        self._lease = Lease(self._beat, self.recover, suspects_of, LeaseWatch(BEATS_A_LEASE), lease)
        self._pending: list[Operation[sqlite3.Connection, Any]] = []
        self._settling = SettlementQueue(
            reactor, random or Random(), str(path), _settle, self._settled, self._writer.flush_soon
        )
        self._rounds = Rounds(reactor)

    @property
    def trouble(self) -> str | None:
        """See :attr:`IStore.trouble`."""
        return self._settling.trouble or self._writer.trouble

    async def _open(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        await self._writer.open()
        await self._register()
        bells = bells_of(self._file.path)
        self._bell = Bell(self._reactor, bells, str(self._owner), wake)
        self._bell.start()
        self._ringer = Ringer(bells, str(self._owner))
        self._foreign = _ForeignCommits(self._file, wake)
        self._rounds.start(FOREIGN_POLL, self._foreign.look)
        self._rounds.start(self._beat_interval, self._lease.keep)

    async def _close(self) -> None:
        self._rounds.stop()
        self._settling.close()
        try:
            if self._owner:
                self._bell.stop()
                await self.recover(self._owner_name, (), "")
        finally:
            await self._writer.close()
            if self._owner:
                self._ringer.close()
                self._foreign.close()

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        """See :meth:`IStore.open`."""
        return Deferred.fromCoroutine(self._open(wake))

    def close(self) -> Deferred[None]:
        """See :meth:`IStore.close`."""
        return Deferred.fromCoroutine(self._close())

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`."""
        return self._do(lambda connection: database.insert(connection, jobs)).addCallback(self._changed)

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        """See :meth:`IStore.claim`."""
        return self._claim(
            lambda connection: self._fair_claim.claim(connection, self._owner, wants, unix_time()),
        )

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`."""
        return self._claim(
            lambda connection: self._fair_claim.claim_solo(connection, self._owner, queues, unix_time()),
        )

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        return self._settling.ack(receipt, follow_ups)

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        return self._settling.retry(receipt, delay, reason, attempted)

    async def _give_back(self, receipts: Collection[Receipt]) -> None:
        for done in [self._settling.give_back(receipt) for receipt in receipts]:
            await done
        self._ringer.ring()

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`."""
        return Deferred.fromCoroutine(self._give_back(receipts))

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`."""
        recovered = self._do(lambda connection: database.recover(connection, owner, suspects, cause))
        return recovered.addCallback(self._changed)

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        return self._lease.renew()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        done = self._do(lambda connection: database.set_pause(connection, queue, site, paused))
        return done.addCallback(self._changed)

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        return self._do(database.read_pauses, durable=False)

    def depths(self) -> Deferred[list[Depth]]:
        """See :meth:`IStore.depths`."""
        return self._do(lambda connection: database.read_depths(connection, unix_time()), durable=False)

    def _do(self, action: Callable[[sqlite3.Connection], T], durable: bool = True) -> Deferred[T]:
        operation: Operation[sqlite3.Connection, T] = Operation(action, Deferred(), durable)
        self._pending.append(operation)
        self._writer.flush_soon()
        return operation.done

    def _changed(self, result: T) -> T:
        """There is something new for this process and others."""
        self._ringer.ring()
        self._wake()
        return result

    async def _register(self) -> None:
        name, asked = self._owner_name, self._lease.now()
        self._lease.begin(await self._do(lambda connection: database.register(connection, name)), asked)

    async def _register_again(self) -> None:
        name, asked = self._owner_name, self._lease.now()
        self._lease.begin(await self._do(lambda connection: database.register_again(connection, name)), asked)

    def _claim(self, action: Callable[[sqlite3.Connection], Claim]) -> Deferred[Claim]:
        async def again() -> Claim:
            self.log.warn("this process was silent for too long: its jobs were given to others")
            await self._register_again()
            return await self._claim(action)

        def lost(failure: Failure) -> Deferred[Claim]:
            failure.trap(LeaseLost)
            return Deferred.fromCoroutine(again())

        # A claim that a crash of the machine undoes is one that nobody has any more.
        return self._do(action, durable=False).addCallbacks(self._held, lost)

    def _held(self, claim: Claim) -> Claim:
        self._lease.hold(claim.jobs)
        return claim

    def _gather(self) -> list[Operation[sqlite3.Connection, Any]]:
        operations, self._pending = self._pending, []
        return self._settling.gather() + operations

    def _settled(self, settlement: Settlement, _: None) -> None:
        if any(follow_ups for _, follow_ups in settlement.acks):
            self._changed(None)
        elif settlement.retries:
            self._wake()

    @property
    def _owner(self) -> int:
        return self._lease.epoch

    def _beat(self) -> Deferred[tuple[bool, list[tuple[str, int]]]]:
        owner = self._owner
        return self._do(lambda connection: database.beat(connection, owner), durable=False)


def _settle(connection: sqlite3.Connection, settlement: Settlement) -> tuple[set[Receipt], None]:
    return database.settle(connection, settlement, unix_time()), None


class _ForeignCommits:
    """Notices that another process has written, by SQLite's own counter."""

    def __init__(self, file: SqliteFile, changed: Callable[[], Any]) -> None:
        self._connection = sqlite3.connect(file.path, timeout=0, isolation_level=None)
        self._changed = changed
        self._version = 0
        self._version = self._read()

    def look(self) -> None:
        """Call `changed` if another process has written since the last look."""
        version = self._read()
        if version != self._version:
            self._version = version
            self._changed()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _read(self) -> int:
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return self._version  # locked at this moment: the next look tells; or broken: the writer tells
