"""Pings to a monitor: every counted event and every change of state, as StatusNet's daemon sends them.

The format has no increment field, so each event is a ping of its own; what exceeds a rate is dropped and counted.
Whatever the monitor does, the daemon only logs it, once a minute at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from snqd.core.clocks import UnixTime, monotonic_of, unix_time
from snqd.monitor.ping_pace import MinuteLog, TokenBucket
from snqd.monitor.ping_udp import UdpOutlet
from snqd.wire.pings import Fields, counter_fields, encode, state_fields

__all__ = [
    "MonitorTarget",
    "NoPinger",
    "Pinger",
    "Pings",
    "SwitchedPinger",
    "counter_fields",
    "encode",
    "make_pinger",
    "parse_target",
    "state_fields",
]

PINGS_A_SECOND = 500
BURST = 500


@attrs.frozen
class MonitorTarget:
    """Where pings go.

    :ivar scheme: udp, http or https.
    :ivar url: as it was configured.
    """

    scheme: str
    host: str
    port: int | None
    url: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")


def parse_target(text: str) -> MonitorTarget | None:
    """What ``[queue] monitor`` says: ``udp://host:port``, an HTTP URL, or None for the empty text.

    :raises ValueError: saying what is wrong.
    """
    if not text:
        return None
    try:
        return _target(text)
    except ValueError as error:
        wanted = "a monitor is given as udp://host:port or as an http:// or https:// URL"
        raise ValueError(f"{text!a}: {error}; {wanted}") from None


def _target(text: str) -> MonitorTarget:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("only printable ASCII characters are allowed, and no blanks")
    parts = urlsplit(text)
    if parts.scheme not in ("udp", "http", "https"):
        raise ValueError(f"{parts.scheme}:// is not supported" if parts.scheme else "it begins with no scheme")
    if not parts.hostname:
        raise ValueError("the host is missing")
    if "@" in parts.netloc:
        raise ValueError("user and password are not supported")
    if parts.port == 0:
        raise ValueError("port 0 can't be sent to")
    if parts.scheme == "udp" and parts.port is None:
        raise ValueError("the port is missing")
    if parts.scheme == "udp" and (parts.path or parts.query or parts.fragment):
        raise ValueError("nothing may follow the port")
    return MonitorTarget(parts.scheme, parts.hostname, parts.port, text)


def make_pinger(reactor: Any, target: str, thread_id: str) -> Pinger | NoPinger:
    """The pinger that ``[queue] monitor`` asks for.

    :raises ValueError: as :func:`parse_target` does.
    """
    return Pinger(reactor, target, thread_id) if target else NoPinger()


class Pings(Protocol):
    """What tells a monitor what happens."""

    def state(self, state: str, substate: str = "") -> None:
        """See :meth:`Pinger.state`."""

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        """See :meth:`Pinger.counter`."""

    def close(self) -> Deferred[None]:
        """See :meth:`Pinger.close`."""


class SwitchedPinger:
    """A pinger whose monitor can be another one later.

    :param make: makes the pinger for a target, as ``[queue] monitor`` says it.
    """

    def __init__(self, make: Callable[[str], Pings], target: str) -> None:
        self._make = make
        self._target = target
        self._pinger = make(target)
        self._state = ("", "")

    def switch(self, target: str) -> None:
        """Go over to `target`, which is told the present state."""
        if target != self._target:
            old, self._pinger, self._target = self._pinger, self._make(target), target
            old.close()
            self._pinger.state(*self._state)

    def state(self, state: str, substate: str = "") -> None:
        """See :meth:`Pinger.state`."""
        self._state = (state, substate)
        self._pinger.state(state, substate)

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        """See :meth:`Pinger.counter`."""
        self._pinger.counter(name, queue, site_server, times)

    def close(self) -> Deferred[None]:
        """See :meth:`Pinger.close`."""
        return self._pinger.close()


class NoPinger:
    """Stands in where no monitor is configured."""

    def state(self, state: str, substate: str = "") -> None:
        """Nothing to tell."""

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        """Nothing to tell."""

    def close(self) -> Deferred[None]:
        """Nothing to close."""
        return succeed(None)


class Pinger:
    """Tells a monitor what happens; never fails and never waits.

    :param reactor: IReactorTime, IReactorUDP, IReactorPluggableNameResolver, and IReactorTCP for an HTTP monitor.
    :param target: see :func:`parse_target`; not empty.
    :param thread_id: the child's id, empty for a program that only enqueues.
    :raises ValueError: if `target` is none.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, target: str, thread_id: str, unix_time: Callable[[], UnixTime] = unix_time
    ) -> None:
        parsed = parse_target(target)
        if parsed is None:
            raise ValueError("no monitor is given")
        self._unix_time = unix_time
        self._target = parsed
        self._thread_id = thread_id
        self._bucket = TokenBucket(monotonic_of(reactor), PINGS_A_SECOND, BURST)
        self._errors = MinuteLog(reactor, self._log_errors)
        self._drops = MinuteLog(reactor, self._log_drops)
        self._outlet = _outlet(reactor, parsed, self._errors.note)
        self._closed = False

    def state(self, state: str, substate: str = "") -> None:
        """The child is now in `state`; what it does there is `substate`."""
        self._send(state_fields(self._thread_id, state, substate, self._unix_time()), 1)

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        """`name` happened `times` times.

        :param queue: the queue, empty for what belongs to none.
        :param site_server: the site's server name, empty for what belongs to no site.
        """
        owners = (("queue", queue), ("site", site_server), ("thread", self._thread_id))
        self._send(counter_fields(name, [f"{kind}:{owner}" for kind, owner in owners if owner]), times)

    def close(self) -> Deferred[None]:
        """Send what waits where that is quick, and close; fires when done. Later pings are ignored."""
        self._closed = True
        return self._outlet.close().addBoth(self._close_logs)

    def _send(self, fields: Fields, times: int) -> None:
        if self._closed:
            return
        ping = encode(fields)
        allowed = self._bucket.take(times)
        sent = sum(self._outlet.send(ping) for _ in range(allowed))
        if sent < times:
            self._drops.note(count=times - sent)

    def _close_logs(self, result: Any) -> None:
        self._errors.close()
        self._drops.close()

    def _log_errors(self, count: int, detail: str) -> None:
        self.log.warn(
            "Monitor {target} did not take {count} pings: {detail}",
            target=str(self._target),
            count=count,
            detail=detail,
        )

    def _log_drops(self, count: int, detail: str) -> None:
        self.log.warn(
            "Monitor {target}: {count} pings dropped, they were more than {rate} a second or than it takes",
            target=str(self._target),
            count=count,
            rate=PINGS_A_SECOND,
        )


class _Outlet(Protocol):
    def send(self, ping: bytes) -> bool: ...

    def close(self) -> Deferred[None]: ...


def _outlet(reactor: Any, target: MonitorTarget, complain: Callable[[str], None]) -> _Outlet:
    if target.scheme == "udp":
        assert target.port is not None, "parse_target() lets no UDP target without a port pass"
        return UdpOutlet(reactor, target.host, target.port, complain)
    from snqd.monitor.ping_http import HttpOutlet  # here, since treq takes 4 MB that most children can do without

    return HttpOutlet(reactor, target.url, complain)
