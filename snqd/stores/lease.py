"""What an open store does again and again: it shows that its process lives, and looks after those that do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from snqd.core.clocks import BootTime, boot_time
from snqd.core.errors import StoreError
from snqd.core.lease_watch import LeaseWatch
from snqd.core.tenure import LOST, Tenure
from snqd.pipe.periodic import PeriodicCall
from snqd.stores.interface import Claimed

CERTAIN = 0.7
"""Share of a lease for which nobody can give up a process that has shown that it lives. Those who watch it count looks,
of which the first may come late by one: three quarters of the lease pass in any case."""


class Lease:
    """One process's.

    :param beat: shows that it lives; answers whether the store still knows it, and with each other one's name and beat.
    :param recover: see :meth:`IStore.recover`.
    :param suspects_of: the ids of the jobs that the process of that name was running.
    :param seconds: after which a process that gives no sign of life is given up.
    :ivar epoch: under which the process claims, 0 for none.
    """

    log = Logger()

    def __init__(
        self,
        beat: Callable[[], Awaitable[tuple[bool, Iterable[tuple[str, int]]]]],
        recover: Callable[[str, Collection[str], str], Awaitable[int]],
        suspects_of: Callable[[str], Collection[str]],
        watch: LeaseWatch,
        seconds: float,
        boot_time: Callable[[], BootTime] = boot_time,
    ) -> None:
        self._beat = beat
        self._recover = recover
        self._suspects_of = suspects_of
        self._watch = watch
        self._certain = CERTAIN * seconds
        self._boot_time = boot_time
        self._complaint = ""
        self._tenure = LOST
        self._unsure: list[Deferred[None]] = []
        self.epoch = 0

    def now(self) -> BootTime:
        """To be asked before the store is."""
        return self._boot_time()

    def begin(self, epoch: int, asked: BootTime) -> None:
        """The store has registered the process.

        :param asked: when it was asked to.
        """
        if epoch != self.epoch:
            self._tenure.end()
            self.epoch, self._tenure = epoch, Tenure(asked + self._certain)

    def hold(self, claimed: Sequence[Claimed]) -> None:
        """Jobs were claimed: they are this process's for as long as the tenure of their epoch says."""
        for each in claimed:
            each.tenure = self._tenure if each.receipt.epoch == self.epoch else LOST

    def renew(self) -> Deferred[None]:
        """See :meth:`IStore.renew`."""
        done: Deferred[None] = Deferred()
        self._unsure.append(done)
        Deferred.fromCoroutine(self.keep())
        return done

    async def keep(self) -> None:
        """Show that this process lives; give the jobs of those that have vanished to others. Raises nothing."""
        asked, tenure = self._boot_time(), self._tenure
        try:
            known, others = await self._beat()
            self._renewed()
            self._answered(tenure, known, asked)
            for name in self._watch.look(others):
                self.log.error("{name} gave no sign of life for its lease: its jobs are given to others", name=name)
                await self._recover(name, self._suspects_of(name), "its process gave no sign of life")
        except StoreError as error:
            self._complain(str(error))
        except Exception:  # noqa: BLE001 - a lease that is renewed no more would lose every job from now on
            self.log.failure("could not look after the leases")

    def _answered(self, tenure: Tenure, known: bool, asked: BootTime) -> None:
        if known:
            tenure.extend(asked + self._certain)
        else:
            tenure.end()
        unsure, self._unsure = self._unsure, []
        for done in unsure:
            done.callback(None)

    def _complain(self, error: str) -> None:
        """Say it once, however long the store is away."""
        if error != self._complaint:
            self._complaint = error
            self.log.warn("could not renew the lease, and it is tried again: {error}", error=error)

    def _renewed(self) -> None:
        if self._complaint:
            self._complaint = ""
            self.log.info("the lease is renewed again")


class Rounds:
    """Calls that are made again and again until they are all stopped."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._loops: list[PeriodicCall] = []

    def start(self, interval: float, call: Callable[[], Any]) -> Callable[[], None]:
        """Make `call` every `interval` seconds, the first time after one of them.

        :returns: puts the next one off, until `interval` seconds from then.
        """
        loop = PeriodicCall(self._reactor, call)
        self._loops.append(loop)
        loop.start(interval, now=False)
        return lambda: loop.reset() if loop.running else None

    def stop(self) -> None:
        """Make no more."""
        for loop in self._loops:
            loop.stop()
