"""Replacement: a fresh child for the place of one that must go, so that no moment is without a child that works.

The fresh one comes up first, then the old one drains and exits. What must not run twice at once (all of a child of an
exclusive group, or what the daemon has but once) the fresh one holds back until the old one is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from snqd.core.errors import SnqdError
from snqd.daemon.child_slot import ChildSlot


class ReplacementFailed(SnqdError):
    """The fresh child did not come up."""


class Crew(Protocol):
    """The group in which children are replaced."""

    @property
    def stopping(self) -> bool:
        """Whether no fresh child is wanted any more."""

    def has(self, n: int) -> bool:
        """Whether there still is a place `n`."""

    def slot(self, n: int) -> ChildSlot:
        """What is in place `n`."""

    def spare(self, n: int) -> ChildSlot:
        """A slot for place `n` that is in no place yet."""

    def install(self, slot: ChildSlot) -> None:
        """Put `slot` into its place, instead of what is there."""

    def hands_over(self, slot: ChildSlot) -> bool:
        """Whether the child of `slot` runs what must not run twice at once."""


@attrs.define
class Change:
    """One replacement under way.

    :ivar up: fires when the fresh child is up, fails with ReplacementFailed if it ends before that.
    """

    old: ChildSlot
    fresh: ChildSlot
    drain_timeout: float
    up: Deferred[None] = attrs.field(factory=Deferred)


class Replacements:
    """Replaces the children of one group, one at a time."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._lock = DeferredLock()
        self._change: Change | None = None

    @property
    def under_way(self) -> bool:
        """Whether a child is being replaced, or waits for it."""
        return bool(self._lock.locked)

    def slots(self) -> Iterator[ChildSlot]:
        """The slots that have a child, or will, and no place in the group: fresh ones before it, old ones after it."""
        if self._change is not None:
            for slot in (self._change.old, self._change.fresh):
                if slot is not self._crew.slot(slot.n) and slot.state != "gone":
                    yield slot

    def replace(self, n: int, drain_timeout: float) -> Deferred[None]:
        """Replace the child in place `n`, after those that were asked for before.

        :param drain_timeout: seconds that the old child gets.
        :returns: fires when the fresh child is up and the old one gone; fails with ReplacementFailed: the old one then
            works on, and the fresh one is gone.
        """
        replaced: Deferred[None] = self._lock.run(lambda: Deferred.fromCoroutine(self._replace(n, drain_timeout)))
        return replaced

    def run(self, change: Callable[[], Any]) -> Deferred[Any]:
        """Call `change` when no child is being replaced."""
        ran: Deferred[Any] = self._lock.run(change)
        return ran

    def ready(self, slot: ChildSlot) -> None:
        """The child of `slot` is up."""
        if (waiting := self._waiting_for(slot)) is not None:
            waiting.callback(None)

    def ended(self, slot: ChildSlot) -> None:
        """The child of `slot` is gone."""
        if (waiting := self._waiting_for(slot)) is not None:
            waiting.errback(ReplacementFailed(f"child {slot.id} did not come up: {slot.error or 'it was stopped'}"))

    def _waiting_for(self, slot: ChildSlot) -> Deferred[None] | None:
        change = self._change
        return change.up if change is not None and change.fresh is slot and not change.up.called else None

    async def _replace(self, n: int, drain_timeout: float) -> None:
        if self._crew.stopping:
            raise ReplacementFailed("the daemon stops")
        if not self._crew.has(n):
            raise ReplacementFailed(f"there is no place {n} any more")
        old = self._crew.slot(n)
        change = self._change = Change(old, self._crew.spare(n), drain_timeout)
        change.fresh.restarts += old.restarts + 1
        change.fresh.standby = self._crew.hands_over(old)
        try:
            await self._fresh_first(change)
        finally:
            self._change = None

    async def _fresh_first(self, change: Change) -> None:
        try:
            await self._come_up(change)
        except ReplacementFailed:
            await change.fresh.stop(0.0)
            raise
        self._crew.install(change.fresh)
        await change.old.stop(change.drain_timeout)
        if change.fresh.standby:
            change.fresh.take_over()

    async def _come_up(self, change: Change) -> Any:
        if self._crew.stopping:
            raise ReplacementFailed("the daemon stops")
        change.fresh.start()
        if change.fresh.state == "waiting":  # no process could be made
            raise ReplacementFailed(f"child {change.fresh.id} did not come up: {change.fresh.error}")
        await change.up
