"""Claimer: when to ask the store for jobs: at once when there may be some, less and less often while it fails."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.backoff import Backoff
from snqd.core.errors import StoreError
from snqd.stores.interface import Claim


class Claimer:
    """Keeps one claim under way at most.

    :param ask: claims; None where there is no room, or nothing to expect.
    :param take: is given what a claim brought.
    :ivar dry: queues that had nothing more when they were last asked; `ask` need not ask them again. Emptied by `wake`.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, random: Random, ask: Callable[[], Deferred[Claim] | None], take: Callable[[Claim], None]
    ) -> None:
        self.dry: set[str] = set()
        self._reactor = reactor
        self._ask = ask
        self._take = take
        self._backoff = Backoff(0.5, 15.0, random)
        self._claiming = False
        self._woken = False
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def wake(self) -> None:
        """There may be something new in the store."""
        self.dry.clear()
        self._woken = True
        self.claim()

    def claim(self) -> None:
        """Ask, if there is anything to ask for and no claim is under way."""
        if self._claiming or self._stopped or self._failing:
            return
        self._woken = False
        asked = self._ask()
        if asked is not None:
            self._claiming = True
            self._cancel_timer()
            asked.addCallbacks(self._claimed, self._failed)
            asked.addErrback(lambda failure: self.log.failure("taking claimed jobs broke", failure))

    def stop(self) -> None:
        """Ask no more; a claim that is under way is still taken."""
        self._stopped = True
        self._cancel_timer()

    @property
    def _failing(self) -> bool:
        """Whether the store failed and its time to try again has not come."""
        return self._backoff.failures > 0 and self._timer is not None

    def _claimed(self, claim: Claim) -> None:
        self._claiming = False
        if self._backoff.failures:
            self._backoff.succeeded()
            self.log.info("the store hands out jobs again")
        if self._woken:
            self.dry.clear()
        if claim.next_due is not None and not self._stopped:
            self._timer = self._reactor.callLater(claim.next_due, self._timed)
        self._take(claim)
        self.claim()

    def _failed(self, failure: Failure) -> None:
        self._claiming = False
        if not self._backoff.failures:
            self.log.error("the store hands out no jobs, and is asked again: {error}", error=failure.value)
        if not failure.check(StoreError):
            self.log.failure("claiming broke", failure)
        if not self._stopped:
            self._timer = self._reactor.callLater(self._backoff.failed(), self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.wake()

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
