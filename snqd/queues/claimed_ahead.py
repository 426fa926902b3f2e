"""ClaimedAhead: sees to it that what is claimed and not begun can begin soon, and gives back what can't.

A claim is made for what jobs cost at that time, for slots that others may take first, and before a pause. So this
object looks again and again, and gives back

- what has become too much, since jobs take longer today than they did;
- what has waited here for too long, whatever its like may cost;
- what is paused by now.

What has found no slot among jobs that take long goes back at once: the next slot that is free asks the store, which
has everybody's jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.errors import StoreError
from snqd.core.fair_turn import FairTurn
from snqd.queues.in_flight import InFlight
from snqd.queues.slots import Slots
from snqd.stores.interface import Claimed, Pauses

LOOK_EVERY = 0.25
"""Seconds between looks while a job is claimed or runs."""
LONGEST_STAY = 1.0
"""Seconds that a share may hold a claimed job that does not begin; then all of the share goes back."""
PAUSES_EVERY = 0.5
"""Seconds between questions for pauses while a job is claimed that has not begun."""

Share = tuple[str, str]
"""A queue and a site."""


class ClaimedAhead:
    """Looks after what waits in a FairTurn.

    :param give_back: is given what goes back to the store.
    :param ask_pauses: asks the store what is paused.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        slots: Slots,
        fair_turn: FairTurn[Claimed],
        running: InFlight,
        give_back: Callable[[Collection[Claimed]], None],
        ask_pauses: Callable[[], Deferred[Pauses]],
    ) -> None:
        self._clock = clock
        self._slots = slots
        self._fair_turn = fair_turn
        self._running = running
        self._give_back = give_back
        self._stays = Stays()
        self._pauses = PauseWatch(clock, ask_pauses, self._paused)
        self._next_look: IDelayedCall | None = None
        self._stopped = False

    def watch(self) -> None:
        """Look from now on, until nothing is claimed any more."""
        if self._next_look is None and not self._stopped and (self._running or self._fair_turn):
            self._next_look = self._clock.callLater(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        look, self._next_look = self._next_look, None
        if look is not None:
            look.cancel()

    def trim(self) -> None:
        """Give back what is too much at today's costs."""
        turns = self._fair_turn
        if not turns:
            return
        surplus: list[Claimed] = []
        for queue in turns.queues():
            waiting = turns.waiting(queue)
            too_many = self._slots.surplus(queue, waiting, turns.costs.expected(queue))
            if too_many:
                surplus += turns.shrink(queue, waiting - too_many)
        self._give_back(surplus)

    def _look(self) -> None:
        self._next_look = None
        self._running.look()
        self.trim()
        overdue = self._stays.overdue(self._fair_turn.shares(), self._clock.seconds())
        self._give_back(self._fair_turn.withdraw(lambda queue, site: (queue, site) in overdue))
        if self._fair_turn:
            self._pauses.look()
        self.watch()

    def _paused(self, pauses: Pauses) -> None:
        self._give_back(self._fair_turn.withdraw(pauses.covers))


@attrs.frozen
class _Seen:
    newest: Claimed
    at: float


class Stays:
    """How long shares have held what they hold.

    One job of each share is remembered, the newest at that time: as long as that one waits, so does what was before it.
    """

    def __init__(self) -> None:
        self._seen: dict[Share, _Seen] = {}

    def overdue(self, shares: Iterable[tuple[str, str, Sequence[Claimed]]], now: float) -> set[Share]:
        """The shares in which a job has waited for :data:`LONGEST_STAY` seconds or more."""
        before, self._seen = self._seen, {}
        for queue, site, jobs in shares:
            seen = before.get((queue, site))
            still = seen is not None and any(job is seen.newest for job in jobs)
            self._seen[queue, site] = seen if seen is not None and still else _Seen(jobs[-1], now)
        return {share for share, seen in self._seen.items() if now - seen.at >= LONGEST_STAY}


class PauseWatch:
    """Asks for pauses, one question at a time.

    :param tell: is given each answer.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, ask: Callable[[], Deferred[Pauses]], tell: Callable[[Pauses], None]
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._tell = tell
        self._asking = False
        self._asked = float("-inf")

    def look(self) -> None:
        """Ask, unless the last question was less than :data:`PAUSES_EVERY` seconds ago or is not answered yet."""
        now = self._clock.seconds()
        if not self._asking and now - self._asked >= PAUSES_EVERY:
            self._asking, self._asked = True, now
            self._ask().addCallback(self._tell).addErrback(self._failed).addCallback(self._answered)

    def _answered(self, _: None) -> None:
        self._asking = False

    def _failed(self, failure: Failure) -> None:
        """The claims tell of a store that is away; it hands out nothing meanwhile."""
        if failure.check(StoreError) is None:
            self.log.failure("asking for pauses broke", failure)
        else:
            self.log.debug("pauses can't be read: {error}", error=failure.value)
