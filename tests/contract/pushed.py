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

from snqd.core.job import Job
from snqd.stomp.protocol import StompProtocol
from snqd.stores.interface import Claim, Want
from snqd.stores.stomp.store import StompStore
from tests.patience import UNTIL, Deadline, until

QUIET = 0.45
"""Seconds on a quiet machine after which what has not come is taken not to come."""
LOOK = 0.01
"""Seconds between looks whether something has come."""


class PatientStore:
    """A store whose claims wait until what is on its way has come.

    :ivar inner: the store itself, whose claims do not wait.
    :ivar listening: the way to the broker on which jobs come.
    """

    def __init__(self, inner: StompStore, bench: Any, listening: Gate, sending: Gate) -> None:
        self.inner = inner
        self.listening = listening
        self._sending = sending
        self._bench = bench
        self._has_asked = False
        self._waiting: list[Deferred[None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def open(self, wake: Callable[[], Any]) -> Deferred[None]:
        def woken() -> None:
            wake()
            self._go_on()

        return self.inner.open(woken)

    def claim(self, wants: Mapping[str, Want]) -> Deferred[Claim]:
        return Deferred.fromCoroutine(self._claim(wants))

    def claim_solo(self, queues: Collection[str]) -> Deferred[Claim]:
        return Deferred.fromCoroutine(self._claim_solo(queues))

    def recover(self, owner: str, suspects: Collection[str], cause: str) -> Deferred[int]:
        """The process that is recovered dies first, so that the broker frees what it held."""
        return Deferred.fromCoroutine(self._recover(owner, suspects, cause))

    async def listens(self) -> None:
        """Ask for a job for the first time, so that the broker sends what comes."""
        self.listening.open()
        if not self._has_asked:
            self._has_asked = True
            await self.inner.claim({"q": Want(1)})
        await self._subscribed()

    async def lose_connection(self) -> None:
        """Cut the connection on which jobs come; it connects again by itself."""
        before = self.inner.inspect().epochs
        await self.listening.cut()
        await until(
            lambda: all(now not in (old, 0) for old, now in zip(before, self.inner.inspect().epochs, strict=True))
        )

    async def die(self) -> list[Job]:
        """Lose the connection on which jobs come, as at the end of the process; returns the jobs that were in hand."""
        held = self.inner.inspect().in_hand
        self.listening.close()
        await self.listening.cut()
        return list(held)

    async def _claim(self, wants: Mapping[str, Want]) -> Claim:
        self.listening.open()
        self._has_asked = self._has_asked or any(want.room for want in wants.values())
        jobs: list[Any] = []

        def ask() -> Any:
            got = {queue: sum(1 for each in jobs if each.job.queue == queue) for queue in wants}
            left = {queue: attrs.evolve(want, room=want.room - got[queue]) for queue, want in wants.items()}
            return self.inner.claim(left)

        room = sum(want.room for want in wants.values())
        claim = await self._until_quiet(ask, lambda _: len(jobs) >= room, jobs)
        return attrs.evolve(claim, jobs=jobs)

    async def _claim_solo(self, queues: Collection[str]) -> Claim:
        await self.listens()  # what is suspect comes back to where it was, and some process must find it there
        deadline = Deadline(UNTIL)
        while True:
            claim = await self._until_quiet(lambda: self.inner.claim_solo(queues), bool)
            if claim.jobs or not await self._suspect_comes(queues) or deadline.is_over():
                return claim

    async def _suspect_comes(self, queues: Collection[str]) -> bool:
        """Whether one is on its way: it comes back, is doubted, and is sent to where it runs alone."""
        suspects, pauses = self.inner.inspect().suspects.values(), await self.inner.pauses()
        return any(
            each.is_announced or (each.queue in queues and not pauses.covers(each.queue, each.site))
            for each in suspects
        )

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
        quiet = Deadline(QUIET)
        while not woken.called and not quiet.is_over():
            await deferLater(reactor, LOOK)
        return woken.called

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    async def _subscribed(self) -> None:
        """Until the broker has confirmed everything that was asked of it."""
        await until(lambda: not self._sending.unconfirmed and not self.listening.unconfirmed)

    async def _recover(self, owner: str, suspects: Collection[str], cause: str) -> int:
        held: list[Job] = []
        for process in self._bench.open:
            if process.name == owner:
                held = await process.store.die()
        noted: int = await self.inner.recover(owner, suspects, cause)
        return len(held) or noted


class Gate:
    """An endpoint that can be closed, and lets nobody through meanwhile; and the connection through it."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self._opened: Deferred[None] | None = None
        self._protocol: StompProtocol | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        if self._opened is None:
            return self._connect(factory)
        return self._opened.addCallback(lambda _: self._connect(factory))

    def _connect(self, factory: Any) -> Deferred[Any]:
        def connected(protocol: StompProtocol) -> StompProtocol:
            self._protocol = protocol
            return protocol

        return self._endpoint.connect(factory).addCallback(connected)

    @property
    def unconfirmed(self) -> int:
        """How many frames of the connection the broker has not confirmed yet."""
        return self._protocol.unconfirmed if self._protocol is not None else 0

    def close(self) -> None:
        """Let no connection through from now on; the one that there is stays."""
        self._opened = Deferred()

    def open(self) -> None:
        """Let connections through again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(None)

    async def cut(self) -> None:
        """Cut the connection, if there is one."""
        protocol = self._protocol
        if protocol is not None:
            protocol.transport.abortConnection()
            await until(lambda: protocol.lost.called)

    def hold(self) -> None:
        """Read nothing more from the connection."""
        assert self._protocol is not None
        self._protocol.transport.pauseProducing()

    def go_on(self) -> None:
        """Read again."""
        assert self._protocol is not None
        self._protocol.transport.resumeProducing()
