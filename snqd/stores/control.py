"""The control channel: commands that reach every daemon on a store, whatever they say.

They are ephemeral: who does not listen at that moment misses them. So each time that a listener begins to hear, its
daemon looks at the sites by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import Interface

from snqd.core.errors import StoreError

if TYPE_CHECKING:  # snqctl publishes without Twisted
    from twisted.internet.defer import Deferred


class Unheard(StoreError):
    """The store has taken a command, and lets nobody listen for it."""


class IControlListener(Interface):
    """Listens in one process, over connections of its own, which are made again for ever."""

    def start(heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        """Begin. Nothing fails: what is wrong is logged, and tried again.

        :param heard: called with each message and the way by which it came: a broker's name, or nothing.
        :param up: called each time that listening begins, at first and when it was interrupted.
        """

    def stop() -> Deferred[Any]:
        """Listen no more; fires when the connections are gone."""


class IControlPublisher(Interface):
    """Publishes, from a program without a reactor."""

    def publish(body: bytes) -> None:
        """Tell all listeners; returns when the store has taken it.

        :raises Unheard: where the store has taken it, and nobody can listen.
        :raises StoreError: where the store does not take part.
        """

    def close() -> None:
        """Disconnect."""
