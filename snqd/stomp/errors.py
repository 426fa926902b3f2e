"""What can go wrong between snqd and a STOMP broker."""

from __future__ import annotations

from snqd.core.errors import SnqdError, StoreUnavailable


class ProtocolError(SnqdError):
    """What was received is not STOMP, or what is to be sent can't be said in it."""


class NotConnected(StoreUnavailable):
    """There is no connection to the broker."""


class BrokerError(StoreUnavailable):
    """The broker answered with an ERROR frame.

    :ivar message: its header of that name.
    :ivar detail: the frame's body, cut to a line.
    """

    sentence = "the broker says: {said}"

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(self.sentence.format(said=f"{message}: {detail}" if detail else message))
        self.message = message
        self.detail = detail


class LoginRefused(BrokerError):
    """The broker answered to CONNECT with an ERROR frame."""

    sentence = "the broker refuses the login: {said}; check [queue] stomp_username, the password and stomp_vhost"


class NoBroker(NotConnected):
    """What answers does not behave like a STOMP broker."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: check that [queue] stomp_server names the host and the port where it speaks STOMP")
