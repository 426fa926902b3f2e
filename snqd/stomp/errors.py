"""What can go wrong between snqd and a STOMP broker."""

from __future__ import annotations

from snqd.core.errors import SnqdError, StoreUnavailable


class ProtocolError(SnqdError):
    """What was received is not STOMP, or what is to be sent can't be said in it."""


class NotConnected(StoreUnavailable):
    """There is no connection to the broker."""


class BrokerError(StoreUnavailable):
    """The broker answered with an ERROR frame.

    :ivar detail: the frame's body, cut to a line.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(f"the broker says: {message}{': ' if detail else ''}{detail}")
        self.detail = detail
