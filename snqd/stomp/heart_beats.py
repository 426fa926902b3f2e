"""Heart-beats: how often each side shows that it lives (STOMP 1.2, "Heart-beating")."""

from __future__ import annotations

import re

import attrs

from snqd.stomp.errors import ProtocolError

_HEADER = re.compile(r" *([0-9]{1,9}),([0-9]{1,9}) *")
TOLERANCE = 3.0
"""The peer may be late: it is given up after so many of its intervals. ActiveMQ looks once in an interval whether it
has sent anything since the last look, and so is silent for two of them after what it sent right behind a look."""


@attrs.frozen
class HeartBeats:
    """What two peers agreed on.

    :ivar send: seconds between signs of life that we owe, 0 for none.
    :ivar receive: seconds between those that we are owed, 0 for none.
    """

    send: float = 0.0
    receive: float = 0.0


def header(interval: float) -> str:
    """Our side of the negotiation: we offer a sign of life every `interval` seconds, and ask for as many."""
    return f"{round(interval * 1000)},{round(interval * 1000)}"


def agree(interval: float, theirs: str | None) -> HeartBeats:
    """What follows from our :func:`header` and the `heart-beat` header of the peer, None where it sent none.

    :raises ProtocolError: if that is no pair of milliseconds.
    """
    if theirs is None:
        return HeartBeats()
    match = _HEADER.fullmatch(theirs)
    if match is None:
        raise ProtocolError(f"{theirs[:40]!a} is no heart-beat header: two numbers of milliseconds, such as 0,10000")
    offered, wanted = int(match[1]) / 1000, int(match[2]) / 1000
    return HeartBeats(_slower(interval, wanted), _slower(interval, offered))


def _slower(ours: float, theirs: float) -> float:
    return max(ours, theirs) if ours and theirs else 0.0
