"""FarmLeaseKeeper: holds the farm lease of what this child may run only while no other child of any host does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from snqd.core.errors import StoreError
from snqd.core.farm_lease import LOOKS, FarmLease
from snqd.core.threads import InThread
from snqd.io.interface import Master
from snqd.io.io_manager import IoManager
from snqd.stores.farm_leases import IFarmLeases

FIRST_LOOK_PATIENCE = 2.0
"""Seconds for which the start waits for the first look, so that a child that finds the lease free comes up with it."""
GIVE_BACK_PATIENCE = 2.0
"""Seconds that a child which stops waits for the store to take the lease back; after that others wait for its end."""


class FarmLeaseKeeper(IoManager):
    """Looks at the lease again and again, for as long as the child lives; started first, so that it is stopped last.

    :param leases: blocking; called in one thread at a time.
    :param in_thread: runs those calls.
    :param key: the lease's name.
    :param seconds: how long the lease lasts.
    :param close: called when nothing is to run in a thread any more.
    :ivar lease: decides.
    :ivar on_taken: called once, when this process has the lease.
    :ivar on_lost: called once, when it can't be sure any more that it has it: after :attr:`FarmLease.seconds_to_end`
        another process may begin.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        leases: IFarmLeases,
        in_thread: InThread,
        key: str,
        lease: FarmLease,
        seconds: float,
        close: Callable[[], Any] = lambda: None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._leases = leases
        self._in_thread = in_thread
        self.key = key
        self.lease = lease
        self._close = close
        self.on_taken: Callable[[], Any] = lambda: None
        self.on_lost: Callable[[], Any] = lambda: None
        self._had = False
        self._complaint = ""
        self._looking: Deferred[Any] = succeed(None)
        self._looks = LoopingCall(self._look)
        self._looks.clock = reactor
        self._every = seconds / LOOKS
        self._end: IDelayedCall | None = None

    def start(self, master: Master) -> Deferred[Any]:
        """Look from now on; fires after the first look. The child comes up without the lease, and waits for it."""
        self._looks.start(self._every)
        looked: Deferred[Any] = Deferred()
        patience = self._reactor.callLater(FIRST_LOOK_PATIENCE, looked.callback, None)

        def end(_: Any) -> None:
            if patience.active():
                patience.cancel()
                looked.callback(None)

        self._looking.addCallback(end)
        return looked

    def look_now(self) -> None:
        """Look at once, or when the look that is under way has ended, and from then on as before."""
        self._looking.addCallback(self._look_again)

    def _look_again(self, _: Any) -> None:
        if self._looks.running:
            self._looks.stop()
            self._looks.start(self._every)

    def stop(self) -> Deferred[Any]:
        """Look no more, and give the lease back."""
        if self._looks.running:
            self._looks.stop()
        self._set_end(None)
        given = self._looking.addCallback(lambda _: Deferred.fromCoroutine(self._give_back()))
        given.addTimeout(GIVE_BACK_PATIENCE, self._reactor).addErrback(self._not_given_back)
        return given.addBoth(lambda _: self._close())

    def report(self) -> Mapping[str, Any]:
        """See :class:`snqd.io.interface.Reporting`."""
        return {"holder": self.lease.holder, "trouble": self._complaint or None}

    def _look(self) -> Deferred[Any]:
        self._looking = Deferred.fromCoroutine(self._renew())
        return self._looking

    async def _renew(self) -> None:
        try:
            await self._exchange()
            self._complaint = ""
        except StoreError as error:
            self._complain(str(error))
        except Exception:  # noqa: BLE001 - one failed look must not be the last
            self.log.failure("could not look after the farm lease {key}", key=self.key)
        self._judge()

    async def _exchange(self) -> None:
        self.lease.begin()
        found = await self._in_thread(self._leases.lease_of, self.key)
        new = self.lease.proposal(found)
        if new is None or not await self._in_thread(self._leases.exchange_lease, self.key, found, new):
            return
        if self.lease.held or not self._had:  # what has lapsed is lost: queue managers have stood still already
            self.lease.confirm(new)

    def _judge(self) -> None:
        """Tell whether the lease came or went since the last time."""
        if not self._looks.running:  # it is stopped, and gives the lease back
            return
        held = self.lease.held
        if held:
            self._set_end(self._reactor.callLater(self.lease.seconds_left, self._judge))
        if held and not self._had:
            self.log.info("this process has the farm lease {key}", key=self.key)
            self._had = True
            self.on_taken()
        elif self._had and not held:
            self._looks.stop()
            self.log.error(
                "the farm lease {key} is lost, so this process leaves: the store confirmed no sign of life in time, or "
                "another process has taken it",
                key=self.key,
            )
            self.on_lost()

    def _set_end(self, end: IDelayedCall | None) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        self._end = end

    async def _give_back(self) -> None:
        given = self.lease.give_back()
        if given is not None:
            await self._in_thread(self._leases.exchange_lease, self.key, *given)
        await self._in_thread(self._leases.close)

    def _not_given_back(self, failure: Any) -> None:
        self.log.warn(
            "the farm lease {key} was not given back, so others wait until it ends: {why}",
            key=self.key,
            why=failure.getErrorMessage(),
        )

    def _complain(self, error: str) -> None:
        """Log it once, however long the store is away."""
        if error != self._complaint:
            self._complaint = error
            self.log.warn("could not renew the farm lease {key}, and tries again: {error}", key=self.key, error=error)
