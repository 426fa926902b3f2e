"""``[queue] stomp_server`` and what goes with it: which brokers there are, and how to log in there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from snqd.config.problems import quoted
from snqd.config.values import BadValue, items

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)"
_URL = re.compile(rf"(?:(?:tcp|stomp|ssl|stomp\+ssl)://)?{_HOST}(?::[0-9]{{1,5}})?/?")
_ENDPOINT = re.compile(r"(?:tcp|tls|unix):[\x21-\x7e]+")
_FORMS = "write host:port, tcp://host:port, stomp+ssl://host:port, or a Twisted endpoint such as unix:/run/stomp.sock"


@attrs.frozen
class StompSettings:
    """How brokers are reached.

    :ivar servers: as the operator names them; empty where the subsystem is another.
    :ivar username: empty where none is wanted.
    :ivar password_file: what holds the password; wins over `password`. None where there is none.
    :ivar vhost: the virtual host on each of them.
    :ivar management: URL of RabbitMQ's management API; empty where it is not to be asked.
    :ivar manual_failover: listen to all servers, and not only to one that is up.
    :ivar enqueue_on: the one of `servers` that jobs are sent to; empty for any that is up.
    """

    servers: tuple[str, ...] = ()
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    password_file: Path | None = None
    vhost: str = "/"
    management: str = attrs.field(default="", repr=False)
    manual_failover: bool = True
    enqueue_on: str = ""


def broker(text: str) -> str:
    """One broker, in one of its forms."""
    plain = _URL.fullmatch(text)
    port = re.search(r":([0-9]+)/?$", text)
    if plain and not (port and not 0 < int(port[1]) < 65536):
        return text
    if not plain and "://" not in text and _ENDPOINT.fullmatch(text):
        return text
    raise BadValue(f"{quoted(text)} is no broker: {_FORMS}")


def management_url(text: str) -> str:
    """``http://`` or ``https://``, with a user and password or without. A message never shows them."""
    try:
        url = urlsplit(text)
        is_fine = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        is_fine = False
    if not is_fine or url.query or url.fragment or re.search(r"[^\x21-\x7e]", text):
        raise BadValue("it is no URL of RabbitMQ's management API: write http://user:password@host:15672")
    return text


def brokers(text: str) -> tuple[str, ...]:
    """A list of brokers, each once."""
    servers = tuple(map(broker, items(text)))
    if not servers:
        raise BadValue(f"{quoted(text)} names no broker: {_FORMS}")
    for position, server in enumerate(servers):
        if server in servers[:position]:
            raise BadValue(f"names {server} twice: remove one of the two")
    return servers
