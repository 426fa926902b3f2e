"""Brokers: which ones a process listens to and which one it sends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.interfaces import IStreamClientEndpoint

from snqd.stomp.endpoints import make_endpoint
from snqd.stomp.protocol import Login


@attrs.frozen
class Broker:
    """A broker: what to call it, and how to reach it."""

    name: str
    endpoint: IStreamClientEndpoint


@attrs.frozen
class Brokers:
    """Which brokers a process works with.

    :ivar listen: jobs are taken from each of these.
    :ivar send: jobs are sent to this one.
    """

    listen: Sequence[Broker]
    send: Broker
    login: Login


def broker_of(reactor: Any, server: str) -> Broker:
    """The broker that the operator names `server`; see :func:`snqd.stomp.endpoints.make_endpoint`."""
    return Broker(server, make_endpoint(reactor, server))
