"""The Redis store: scripts that run inside Redis, behind the Store's interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from secrets import token_hex
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.core.backoff import Backoff
from snqd.core.errors import SnqdError, StoreError, StoreUnavailable
from snqd.core.job import Job
from snqd.core.lease_watch import LeaseWatch
from snqd.stores.interface import Claim, Depth, IStore, Pauses, Promises, Receipt, Want
from snqd.stores.lease import Lease, Rounds
from snqd.stores.redis import scripts
from snqd.stores.redis.codec import DepthsReader, encode_all, read_claim, read_pauses, want_rows
from snqd.stores.redis.errors import RedisConnectionLost, not_finished, not_taken, store_error
from snqd.stores.redis.info import info, is_full
from snqd.stores.redis.interface import IScriptRunner
from snqd.stores.redis.listener import RedisListener, unless_own
from snqd.stores.redis.names import place_of, wake_channel
from snqd.stores.redis.numbered_calls import NumberedCalls
from snqd.stores.redis.pending_settlement import (
    Accepting,
    PendingSettlement,
    ack,
    count_unanswered,
    enqueue_words,
    give_back,
    retry,
    settle_words,
)
from snqd.stores.redis.scripts import Script
from snqd.stores.redis.session import Session
from snqd.stores.standby import Standby

POLL = 2.0
"""Seconds between looks for what no message told of."""
BEATS_A_LEASE = 4
PATIENCE = 15.0
"""Seconds that an enqueue waits for Redis."""
FAREWELL = 3.0
"""Seconds that closing waits for a connection, to give back what is claimed."""
SITES_A_PAGE = 500

T = TypeVar("T")


@implementer(IStore, IScriptRunner)
class RedisStore:
    """Jobs in one Redis, shared by processes of any number of hosts.

    While Redis is away, claims and settlements wait for it, however long; everything else fails after a while.

    :param prefix: what all keys of this farm begin with.
    :param owner: this process's name, new at each start; its crash ledger tells of it under this name.
    :param lease: seconds without a sign of life after which a process's claims are given to others.
    :param suspects_of: the ids of the jobs that the process of that name was running.
    """

    log = Logger()
    promises = Promises()

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        prefix: str,
        owner: str,
        *,
        lease: float,
        suspects_of: Callable[[str], Collection[str]],
        random: Random | None = None,
    ) -> None:
        random = random or Random()
        self._reactor = reactor
        self._owner = owner
        self._run = token_hex(4)  # numbers of calls start anew with each store, even under an earlier name
        self._beat_interval = lease / BEATS_A_LEASE
        self._lease = Lease(self._beat, self.recover, suspects_of, LeaseWatch(BEATS_A_LEASE), lease)
        self._session = Session(reactor, address, random, prefix, owner, self._up, self._lease.begin)
        self._standby = Standby(reactor, random, self._told)
        heard, wake, up = self._standby.heard, wake_channel(prefix), self._session.is_connected
        self._listener = RedisListener(reactor, address, random, wake, unless_own(owner, heard), heard, "wake-ups")
        self._settling = NumberedCalls(reactor, up, self._send_settlements, self._settled, self._not_settled)
        self._accepting = NumberedCalls(reactor, up, self._send_jobs, self._accepted, self._not_accepted)
        self._under_way: set[Receipt] = set()
        self._backoff = Backoff(0.5, 15.0, random)
        self._cursors: dict[str, str] = {}
        self._rounds = Rounds(reactor)
        self._open_now = False
        self._refusals: dict[str, str] = {}
        self._wake: Callable[[], Any] = lambda: None

    @property
    def trouble(self) -> str | None:
        """See :attr:`IStore.trouble`."""
        return self._session.trouble or next(iter(self._refusals.values()), None)

    async def _open(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        try:
            await self._session.start()
            self._listener.start()
            await self._listener.is_up()
        except StoreError:
            await self._stop()
            raise
        self._open_now = True
        self._rounds.start(self._beat_interval, self._lease.keep)
        self._rounds.start(POLL, wake)

    async def _close(self) -> None:
        self._open_now = False
        self._rounds.stop()
        try:
            for series in (self._settling, self._accepting):
                await series.finish().addTimeout(FAREWELL, self._reactor, not_finished)
            await self._session.ask(scripts.RECOVER, self._owner, self._owner, "[]", '""', patience=FAREWELL)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        closed = StoreUnavailable("the store is closed")
        for settlement in self._settling.clear():
            if not settlement.done.called:
                settlement.done.errback(closed)
        self._not_accepted(self._accepting.clear(), closed)
        await self._listener.stop()
        self._standby.stop()
        await self._session.stop()

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        """See :meth:`IStore.open`."""
        return Deferred.fromCoroutine(self._open(wake))

    def close(self) -> Deferred[None]:
        """See :meth:`IStore.close`; fails where what is claimed could not be given back."""
        return Deferred.fromCoroutine(self._close())

    def enqueue(self, jobs: Sequence[Job]) -> Deferred[None]:
        """See :meth:`IStore.enqueue`."""
        try:
            heads, records = encode_all(jobs)
        except SnqdError:
            return fail()
        item = Accepting([job.id for job in jobs], heads, records, Deferred())
        self._accepting.add(item)
        return item.done.addTimeout(PATIENCE, self._reactor, lambda failure, timeout: self._given_up(item, failure))

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        """See :meth:`IStore.claim`."""
        open_wants = {queue: want for queue, want in wants.items() if want.room > 0}
        return Deferred.fromCoroutine(
            self._claim(scripts.CLAIM, lambda: {"wants": want_rows(open_wants, self._cursors)})
        )

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        """See :meth:`IStore.claim_solo`."""
        return Deferred.fromCoroutine(self._claim(scripts.CLAIM_SOLO, lambda: {"queues": list(queues)}))

    def ack(self, receipt: Receipt, follow_ups: Sequence[Job] = ()) -> Deferred[bool]:
        """See :meth:`IStore.ack`."""
        try:
            return self._settle(ack(receipt, *encode_all(follow_ups)))
        except SnqdError:
            return fail()

    def retry(self, receipt: Receipt, delay: float, reason: str, attempted: bool = True) -> Deferred[bool]:
        """See :meth:`IStore.retry`."""
        return self._settle(retry(receipt, delay, reason, attempted))

    async def _give_back(self, receipts: Collection[Receipt]) -> None:
        for done in [self._settle(give_back(receipt)) for receipt in receipts]:
            await done

    def give_back(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.give_back`."""
        return Deferred.fromCoroutine(self._give_back(receipts))

    def stop_claims(self, receipts: Collection[Receipt]) -> Deferred[None]:
        """See :meth:`IStore.stop_claims`."""
        return self.give_back(receipts)

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """See :meth:`IStore.recover`."""
        words = (self._owner, owner, json.dumps(list(suspects)), json.dumps(cause))
        return self._do(scripts.RECOVER, *words).addCallback(self._changed)

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        return self._lease.renew()

    def pause(self, queue: str | None, site: str | None, paused: bool) -> Deferred[None]:
        """See :meth:`IStore.pause`."""
        done = self._do(scripts.PAUSE, self._owner, place_of(queue, site), int(paused))
        return done.addCallback(lambda _: self._changed(None))

    def pauses(self) -> Deferred[Pauses]:
        """See :meth:`IStore.pauses`."""
        return self._do(scripts.PAUSES).addCallback(read_pauses)

    async def _depths(self) -> list[Depth]:
        reader = DepthsReader(await self._session.ask(scripts.HELD))
        for queue in reader.queues:
            after: str | None = ""
            while after is not None:
                after = reader.add_page(queue, await self._session.ask(scripts.WAITING, queue, after, SITES_A_PAGE))
        return reader.depths()

    def depths(self) -> Deferred[list[Depth]]:
        """See :meth:`IStore.depths`."""
        return Deferred.fromCoroutine(self._depths())

    async def ask(self, script: Script, *words: Any) -> Any:
        """See :meth:`IScriptRunner.ask`."""
        return await self._session.ask(script, *words)

    def _do(self, script: Script, *words: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._session.ask(script, *words))

    def _changed(self, result: T) -> T:
        """There is something new for this process; the scripts tell the others."""
        self._wake()
        return result

    def _told(self) -> None:
        if self._open_now:
            self._wake()

    # Claiming

    async def _claim(self, script: Script, request: Callable[[], dict[str, Any]]) -> Claim:
        try:
            text, epoch = await self._session.claim(script, request)
        except StoreUnavailable as error:
            self._refusals["claim"] = str(error)
            raise
        self._refusals.pop("claim", None)
        reply = read_claim(text, epoch)
        self._cursors.update(reply.cursors)
        self._standby.claimed(len(reply.claim.jobs))
        self._lease.hold(reply.claim.jobs)
        for claimed in reply.claim.jobs:
            self._session.held[claimed.receipt.key] = epoch
        if reply.cut:
            self._wake()
        return reply.claim

    # SettlementQueue and accepting, in numbered calls

    def _up(self) -> None:
        self._settling.flush_soon()
        self._accepting.flush_soon()
        self._told()

    def _settle(self, settlement: PendingSettlement) -> Deferred[bool]:
        if settlement.receipt in self._under_way:
            return succeed(False)  # a receipt is stale once it was used
        self._under_way.add(settlement.receipt)
        self._settling.add(settlement)
        return settlement.done

    async def _call(self, script: Script, kind: str, number: int, words: list[Any]) -> bytes:
        connection = self._session.connection
        if connection is None:
            raise RedisConnectionLost
        name = f"{self._owner}:{self._run}:{kind}"
        return bytes(await connection.run(script, self._session.prefix, self._owner, name, number, *words) or b"")

    async def _send_settlements(self, number: int, batch: list[PendingSettlement]) -> bytes:
        return await self._call(scripts.SETTLE, "settle", number, settle_words(batch))

    def _settled(self, batch: list[PendingSettlement], answer: bytes) -> None:
        if self._backoff.failures:
            self.log.info("Redis takes settlements again")
            self._backoff.succeeded()
            self._refusals.pop("settle", None)
        stale = {int(position) for position in answer.split()}
        self._under_way.difference_update([each.receipt for each in batch])
        for position, each in enumerate(batch, 1):
            if self._session.held.get(each.receipt.key) == each.receipt.epoch:
                del self._session.held[each.receipt.key]
            each.done.callback(position not in stale)
        if any(each.news for each in batch):
            self._wake()

    def _not_settled(self, batch: list[PendingSettlement], error: StoreError) -> float | None:
        """Keep what Redis refuses for now, for ever; what it refuses for good goes back to who asked."""
        if isinstance(error, StoreUnavailable):
            if not self._backoff.failures:
                self.log.error("settlements wait, and nothing new is taken: {error}", error=error)
            self._refusals["settle"] = str(error)
            return self._backoff.failed()
        self._under_way.difference_update([each.receipt for each in batch])
        for each in batch:
            each.done.errback(error)
        return None

    async def _send_jobs(self, number: int, batch: list[Accepting]) -> bytes:
        if self._session.is_connected():
            count_unanswered(batch, 1)
        try:
            return await self._call(scripts.ENQUEUE, "enqueue", number, enqueue_words(batch))
        except RedisConnectionLost:
            raise
        except StoreError:
            count_unanswered(batch, -1)
            raise

    def _accepted(self, batch: list[Accepting], answer: bytes) -> None:
        for each in batch:
            if not each.done.called:
                each.done.callback(None)
        self._wake()

    def _not_accepted(self, batch: list[Accepting], error: StoreError) -> None:
        for each in batch:
            if not each.done.called:
                each.done.errback(each.failure(error))

    def _given_up(self, item: Accepting, failure: Any) -> None:
        failure.trap(CancelledError)
        # Should its call be repeated, then without it.
        item.heads, item.records = [], []
        raise item.failure(not_taken(PATIENCE, self._session.trouble))

    # Leases

    async def _beat(self) -> tuple[bool, list[tuple[str, int]]]:
        self._listener.ping()
        answer = await self._session.ask(scripts.BEAT, self._owner, self._session.epoch)
        await self._look_for_room()
        known, others = json.loads(answer)
        return known, [(name, beat) for name, beat in others]

    async def _look_for_room(self) -> None:
        """A full Redis refuses new jobs alone, and this process may have none to offer."""
        connection = self._session.connection
        if connection is not None and is_full(info(await connection.command("INFO", "memory"))):
            self._refusals["enqueue"] = str(store_error(connection.where, "OOM"))
        else:
            self._refusals.pop("enqueue", None)
