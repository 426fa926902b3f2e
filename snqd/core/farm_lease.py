"""FarmLease: whether this process may run what the whole farm has only once.

A shared store keeps one :class:`Holding` a name: the process that holds the lease, and a number that grows with each of
its signs of life. No clock of the store takes part, and no two hosts compare theirs: each process measures by its own
boot clock how long it has seen no sign of life.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from snqd.core.clocks import BootTime

SAFE_SHARE = 2 / 3
"""Share of the lease for which its holder trusts the last sign of life that the store has confirmed.

The rest is its time to end what it runs: another process takes over after a whole lease."""
LOOKS = 6
"""Looks at the store in one lease."""
FREE = ""
"""The holder of a lease that was given back."""


@attrs.frozen
class Holding:
    """What the store keeps for one lease.

    :ivar holder: the process, or :data:`FREE`.
    :ivar beat: grows with each change.
    """

    holder: str
    beat: int


class FarmLease:
    """Decides for one process. At each look, call :meth:`begin`, read the store, write what :meth:`proposal` gives, and
    call :meth:`confirm` if nobody else has written meanwhile.

    :param me: this process's name, new at each start.
    :param lease: seconds without a sign of life after which another process takes over.
    :param gone: processes that are dead for certain: what one of them held is taken at once.
    :ivar holder: the process that held the lease at the last look, :data:`FREE` if none did.
    """

    def __init__(self, me: str, lease: float, now: Callable[[], BootTime], gone: Collection[str] = ()) -> None:
        self.holder = FREE
        self._me = me
        self._lease = lease
        self._now = now
        self._free = {FREE, me, *gone}
        self._until = now()
        self._end = self._until
        self._began = self._until
        self._mine: Holding | None = None
        self._seen: Holding | None = None
        self._since = self._until

    @property
    def held(self) -> bool:
        """Whether this process may run it now. True again only after another :meth:`confirm`."""
        return self._now() < self._until

    @property
    def seconds_left(self) -> float:
        """Seconds for which it is held without another sign of life."""
        return max(self._until - self._now(), 0.0)

    @property
    def seconds_to_end(self) -> float:
        """Seconds for which no other process begins, whether it is held or not."""
        return max(self._end - self._now(), 0.0)

    def begin(self) -> None:
        """A look at the store begins: what it confirms was so at this moment at the earliest."""
        self._began = self._now()

    def proposal(self, found: Holding | None) -> Holding | None:
        """What to write in place of `found`, which the store has just answered; None to write nothing."""
        self.holder = found.holder if found is not None else FREE
        beat = found.beat + 1 if found is not None else 1
        if self.holder in self._free or self._is_silent(found):
            return Holding(self._me, beat)
        self._until = self._end = self._began  # another process has it
        return None

    def confirm(self, written: Holding) -> None:
        """The store has `written`, which was the proposal."""
        self.holder = written.holder
        self._mine, self._seen = written, None
        self._until = BootTime(self._began + self._lease * SAFE_SHARE)
        self._end = BootTime(self._began + self._lease)

    def give_back(self) -> tuple[Holding, Holding] | None:
        """Hold it no more, so that another process need not wait.

        :returns: what was written last, and what to write in its place; None if it was not held.
        """
        was_held, self._until = self.held, self._began
        if self._mine is None or not was_held:
            return None
        return self._mine, Holding(FREE, self._mine.beat + 1)

    def _is_silent(self, found: Holding | None) -> bool:
        """Whether the other process has given no sign of life for a whole lease."""
        if found != self._seen:
            self._seen, self._since = found, self._now()
        return self._now() - self._since >= self._lease
