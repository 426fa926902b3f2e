"""What an open store does again and again: it shows that its process lives, and looks after those that do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from snqd.core.errors import StoreError
from snqd.core.lease_watch import LeaseWatch


class Lease:
    """One process's.

    :param beat: shows that it lives; answers with each other one's name and beat.
    :param recover: see :meth:`IStore.recover`.
    :param suspects_of: the ids of the jobs that the process of that name was running.
    """

    log = Logger()

    def __init__(
        self,
        beat: Callable[[], Awaitable[Iterable[tuple[str, int]]]],
        recover: Callable[[str, Collection[str], str], Awaitable[int]],
        suspects_of: Callable[[str], Collection[str]],
        watch: LeaseWatch,
    ) -> None:
        self._beat = beat
        self._recover = recover
        self._suspects_of = suspects_of
        self._watch = watch
        self._complaint = ""

    async def keep(self) -> None:
        """Show that this process lives; give the jobs of those that have vanished to others. Raises nothing."""
        try:
            others = await self._beat()
            self._renewed()
            for name in self._watch.look(others):
                self.log.error("{name} gave no sign of life for its lease: its jobs are given to others", name=name)
                await self._recover(name, self._suspects_of(name), "its process gave no sign of life")
        except StoreError as error:
            self._complain(str(error))
        except Exception:  # noqa: BLE001 - a lease that is renewed no more would lose every job from now on
            self.log.failure("could not look after the leases")

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
        self._loops: list[LoopingCall] = []

    def start(self, interval: float, call: Callable[[], Any]) -> Callable[[], None]:
        """Make `call` every `interval` seconds, the first time after one of them.

        :returns: puts the next one off, until `interval` seconds from then.
        """
        loop = LoopingCall(call)
        loop.clock = self._reactor
        self._loops.append(loop)
        loop.start(interval, now=False)
        return lambda: loop.reset() if loop.running else None

    def stop(self) -> None:
        """Make no more."""
        for loop in self._loops:
            loop.stop()
