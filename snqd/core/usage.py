"""Usage: how many weighted seconds each of those who share has used, and where those that are being served stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar


class Account:
    """How many weighted seconds somebody has used."""

    __slots__ = ("used",)

    def __init__(self, used: float) -> None:
        self.used = used


class QueueAccount(Account):
    """A queue's, among those of one site.

    :ivar mean: seconds that the site's jobs of this queue took lately; None before the first has ended.
    """

    __slots__ = ("mean",)

    def __init__(self, used: float) -> None:
        super().__init__(used)
        self.mean: float | None = None


class SiteAccount(Account):
    """A site's.

    :ivar waiting: how many of its jobs wait, in all queues.
    :ivar running: how many of them run, and are not paid for yet.
    :ivar queues: how its queues share.
    """

    __slots__ = ("queues", "running", "waiting")

    def __init__(self, used: float) -> None:
        super().__init__(used)
        self.waiting = 0
        self.running = 0
        self.queues = Usage(QueueAccount)


A = TypeVar("A", bound=Account)


class Usage(Generic[A]):
    """The accounts of those who share, and where those that are being served stand.

    :param make: a new account that has used so much.
    """

    __slots__ = ("_make", "_top", "accounts", "floor")

    def __init__(self, make: Callable[[float], A]) -> None:
        self._make = make
        self.accounts: dict[str, A] = {}
        self.floor = 0.0
        self._top = 0.0

    def of(self, name: str) -> A:
        """The account of `name`; who has none starts level with those being served."""
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = self._make(self.floor)
        return account

    def enter(self, account: A) -> None:
        """Its owner wants to be served again."""
        if account.used < self.floor:
            account.used = self.floor

    def serve(self, account: A, cost: float) -> None:
        """Its owner is served, at `cost` weighted seconds."""
        used = account.used
        if used > self.floor:  # max() would cost five times as much, several times a job
            self.floor = used
        account.used = used = used + cost
        if used > self._top:
            self._top = used

    def charge(self, account: A, cost: float) -> None:
        """Correct what its owner has used by `cost` weighted seconds."""
        used = account.used + cost
        if used < 0.0:
            used = 0.0
        account.used = used
        if used > self._top:
            self._top = used

    def rest(self) -> None:
        """Nobody wants to be served: whoever comes next starts level with all others."""
        self.floor = self._top

    def forget(self, but: Callable[[A], bool]) -> None:
        """Drop those who would enter at the floor anyway, `but` some."""
        kept = {name: each for name, each in self.accounts.items() if each.used > self.floor or but(each)}
        self.accounts = kept
