"""Brokers: which ones a process listens to and which one it sends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.interfaces import IStreamClientEndpoint

from snqd.config.stomp_servers import StompSettings
from snqd.core.errors import ConfigError
from snqd.core.job import JSON
from snqd.stomp.endpoints import RotatingEndpoint, make_endpoint
from snqd.stomp.login import Login


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
    :ivar wire: who must be able to read what is sent: see :data:`snqd.config.values.WIRES`.
    """

    listen: Sequence[Broker]
    send: Broker
    login: Login
    wire: str = JSON


def broker_of(reactor: Any, server: str) -> Broker:
    """The broker that the operator names `server`; see :func:`snqd.stomp.endpoints.make_endpoint`."""
    return Broker(server, make_endpoint(reactor, server))


def brokers_of(reactor: Any, settings: StompSettings, wire: str) -> Brokers:
    """What the configuration asks for.

    :param wire: see :class:`Brokers`.
    :raises ConfigError: if the file with the password can't be read.
    """
    every = [broker_of(reactor, server) for server in settings.servers]
    listen = every if settings.manual_failover else [_any_of(every)]
    chosen = [broker for broker in every if broker.name == settings.enqueue_on]
    return Brokers(listen, chosen[0] if chosen else _any_of(every), login_of(settings), wire)


def login_of(settings: StompSettings) -> Login:
    """How to log in.

    :raises ConfigError: if the file with the password can't be read.
    """
    password = settings.password
    if settings.password_file is not None:
        try:
            password = settings.password_file.read_text().strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            problem = (
                f"[queue] stomp_password_file: {settings.password_file} can't be read ({why}): correct path or file"
            )
            raise ConfigError([problem]) from error
    return Login(settings.username, password, settings.vhost)


def _any_of(brokers: Sequence[Broker]) -> Broker:
    if len(brokers) == 1:
        return brokers[0]
    name = " or ".join(broker.name for broker in brokers)
    return Broker(name, RotatingEndpoint([broker.endpoint for broker in brokers]))
