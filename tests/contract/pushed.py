"""What the contract suite needs on stores to which a broker pushes: patience, and processes that really die.

A store that looks for itself knows after a claim that there was nothing more. One that is pushed to can only know that
nothing more has come yet; queue managers are woken when it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from snqd.stores.interface import Claim, Want

QUIET = 0.45
"""Seconds after which what has not come is taken not to come."""

_FAIR = "brokers are fair among sites only within what they have sent, and by lanes in a flood"
_DUE = "a broker does not tell when what it delays is due"
_DEPTHS = "a broker tells no depths over STOMP; see test_depths_are_those_of_the_process_itself"
_PLACE = "what comes back to a broker may come behind what another process holds already"
_ORDER = "one process serves an ordered queue; see its tests in test_stomp_brokers.py"
_ONE_SOLO = "each daemon has one process that takes suspects, and the broker does not know who is one"

UNPROMISED: Mapping[str, str] = {
    "test_enqueueing_wakes_the_other_processes_and_the_own": "a broker wakes the process that it sends the job to",
    "test_a_delayed_job_waits_for_its_time": "the test waits no longer than the suite waits for what may come",
}


class PatientStore:
    """A store whose claims wait until what is on its way has come."""

    def __init__(self, store: Any, bench: Any) -> None:
        self._store = store
        self._bench = bench
        self._waiting: list[Deferred[None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        def woken() -> None:
            wake()
            self._go_on()

        return self._store.open(woken)

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        return Deferred.fromCoroutine(self._claim(wants))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        return Deferred.fromCoroutine(
            self._until_quiet(lambda: self._store.claim_solo(queues), lambda jobs: bool(jobs))
        )

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """The process that is recovered dies first, so that the broker frees what it held."""
        return Deferred.fromCoroutine(self._recover(owner, suspects, cause))

    async def listens(self) -> None:
        """Ask for a job for the first time, so that the broker sends what comes."""
        if not self._store._groups:
            await self._store.claim({"q": Want(1)})
        await self._subscribed()

    async def _claim(self, wants: Mapping[str, Want]) -> Claim:
        jobs: list[Any] = []

        def ask() -> Any:
            got = {queue: sum(1 for each in jobs if each.job.queue == queue) for queue in wants}
            left = {queue: attrs.evolve(want, room=want.room - got[queue]) for queue, want in wants.items()}
            return self._store.claim(left)

        room = sum(want.room for want in wants.values())
        claim = await self._until_quiet(ask, lambda _: len(jobs) >= room, jobs)
        return attrs.evolve(claim, jobs=jobs)

    async def _until_quiet(
        self, ask: Callable[[], Awaitable[Claim]], enough: Callable[[list[Any]], bool], jobs: list[Any] | None = None
    ) -> Claim:
        jobs = [] if jobs is None else jobs
        while True:
            claim = await ask()
            jobs += claim.jobs
            if enough(jobs) or not await self._something_comes():
                return attrs.evolve(claim, jobs=jobs)

    async def _something_comes(self) -> bool:
        woken: Deferred[None] = Deferred()
        self._waiting.append(woken)
        await self._subscribed()
        quiet = reactor.callLater(QUIET, self._go_on)
        await woken
        if quiet.active():
            quiet.cancel()
            return True
        return False

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    async def _subscribed(self) -> None:
        """Until the broker has confirmed everything that was asked of it."""
        while any(each and each._receipts for each in self._protocols()):
            await deferLater(reactor, 0.01)

    def _protocols(self) -> list[Any]:
        store = self._store
        return [each._connection.protocol for each in [store._sender, *store._consumers]]

    async def _recover(self, owner: str, suspects: Collection[str], cause: str) -> int:
        freed = 0
        for process in self._bench.open:
            if process.name == owner:
                freed = await process.store._die()
        noted = await self._store.recover(owner, suspects, cause)
        return freed or noted

    async def _die(self) -> int:
        """Lose the connections, as at the end of the process; returns what it had in hand."""
        in_hand: int = self._store._inbox.in_hand()
        for protocol in self._protocols():
            if protocol is not None:
                protocol.transport.abortConnection()
                while not protocol.lost.called:
                    await deferLater(reactor, 0.01)
        return in_hand
