"""ConfirmWatch: whether a broker takes what it is sent, or lets those who send wait."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

PATIENCE = 10.0
"""Seconds without a confirmation, while one is due, after which that is said."""


class ConfirmWatch:
    """Counts what is on its way to a broker and not confirmed yet.

    RabbitMQ stops reading from those who send while it has a memory or disk alarm, and says so to nobody.

    :param name: how the broker is called in messages.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name
        self._unconfirmed = 0
        self._since = 0.0
        self._said = False

    @property
    def trouble(self) -> str | None:
        """That the broker lets those who send wait, once it is said."""
        return f"the broker {self._name} confirms nothing that it is sent" if self._said else None

    def sent(self) -> None:
        """One more message was sent."""
        if not self._unconfirmed:
            self._since = self._clock.seconds()
        self._unconfirmed += 1

    def confirmed(self) -> None:
        """The broker has confirmed one."""
        self._unconfirmed -= 1
        self._since = self._clock.seconds()
        if self._said:
            self._said = False
            self.log.info("the broker {name} takes messages again", name=self._name)

    def lost(self) -> None:
        """One will never be confirmed: its connection is lost, and others have said so."""
        self._unconfirmed -= 1
        self._said = False

    def look(self) -> None:
        """To be called now and then."""
        waited = self._clock.seconds() - self._since
        if self._unconfirmed and waited >= PATIENCE and not self._said:
            self._said = True
            self.log.error(
                "the broker {name} has confirmed none of {number} messages for {waited:.0f} s, and they wait",
                name=self._name,
                number=self._unconfirmed,
                waited=waited,
            )
