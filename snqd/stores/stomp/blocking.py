"""StompQueue: jobs to a broker, and pauses, from programs without a reactor."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from itertools import chain, count

from zope.interface import implementer

from snqd.config.stomp_servers import StompSettings
from snqd.core.clocks import monotonic, unix_time
from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.core.job import JSON, Job
from snqd.stomp.encoder import encode
from snqd.stomp.endpoints import PLAIN_PORT, TLS_PORT
from snqd.stomp.errors import BrokerError, LoginRefused, NoBroker, NotConnected, ProtocolError
from snqd.stomp.frame import Frame, Version
from snqd.stomp.login import Login
from snqd.stomp.parser import Parser
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.interface import Pauses
from snqd.stores.stomp.brokers import login_of
from snqd.stores.stomp.dialects import BrokerDialect, dialect_of
from snqd.stores.stomp.message import ID
from snqd.stores.stomp.sender import Outgoing, frames_of
from snqd.stores.stomp.shared_state import SharedState
from snqd.stores.stomp.topology import Topology

Message = tuple[dict[str, str], bytes]
"""Headers and body of a SEND."""

LOGIN_TIMEOUT = 10.0
"""Seconds that a broker has to be reached, and then again to let us in, whatever it says meanwhile."""
CONFIRM_TIMEOUT = 30.0
"""Seconds that it has to take what is sent, and to confirm the next of it."""
TRANSACTION = 500
"""Messages that go to the broker in one transaction, where it keeps those; it has them in its memory until then."""
_READ_BYTES = 65536


@implementer(IBlockingQueue)
class StompQueue:
    """See :class:`~snqd.stores.blocking.IBlockingQueue`. What a broker was sent and has not confirmed it may take even
    when the connection is long gone, so that an enqueue ends with :class:`Unconfirmed` then.

    :param wire: see :class:`~snqd.stores.stomp.brokers.Brokers`.
    """

    def __init__(self, settings: StompSettings, topology: Topology, notes: SharedState, wire: str = JSON) -> None:
        self._settings = settings
        self._wire = wire
        self._topology = topology
        self._notes = notes
        self._session: _Session | None = None

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """See :class:`IBlockingQueue`."""
        session = self._session or self._connect()
        now = unix_time()
        outgoing = [Outgoing(job, delay=max(job.not_before - now, 0.0)) for job in jobs]
        frames = [
            frame
            for each in outgoing
            for frame in frames_of(session.dialect, self._topology, each, session.made, self._wire)
        ]
        # ActiveMQ's scheduler takes a message when its transaction is over, which a kill may come before.
        together = session.dialect.keeps_transactions and len(jobs) > 1 and not any(each.delay for each in outgoing)
        try:
            session.send(frames, together)
        except (StoreError, ProtocolError) as error:
            self._disconnect()
            unknown = [job.id for job in jobs if job.id in session.unconfirmed]
            if not unknown or (isinstance(error, BrokerError) and len(frames) == 1):
                raise  # nothing was sent, or the broker has refused it
            accepted = [job.id for job in jobs if job.id not in session.unconfirmed]
            raise Unconfirmed(str(error), accepted, unknown) from error

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """See :class:`IBlockingQueue`; children see it within a second."""
        if not queue and not site:
            raise StoreError("name a queue, a site or both to pause or resume")
        self._notes.pause(queue or "", site or "", paused)

    def pauses(self) -> Pauses:
        """See :class:`IBlockingQueue`."""
        return self._notes.read().pauses

    def depths(self) -> None:
        """See :class:`IBlockingQueue`: over STOMP a broker does not tell; that it answers at all is tried here."""
        if self._session is None:
            self._connect()

    def exists(self) -> bool:
        """See :class:`IBlockingQueue`."""
        return True

    def close(self) -> None:
        """See :class:`IBlockingQueue`."""
        self._disconnect()
        self._notes.close()

    def _connect(self) -> _Session:
        login = login_of(self._settings)
        problems = []
        chosen = self._settings.enqueue_on
        for server in (chosen,) if chosen else self._settings.servers:
            try:
                self._session = _Session(_connected(server), login)
                return self._session
            except (OSError, StoreUnavailable, ProtocolError) as error:
                problems.append(f"{server}: {error}")
        raise NotConnected(f"no broker takes jobs: {'; '.join(problems)}")

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def problems_of(settings: StompSettings) -> list[str]:
    """What is wrong with the brokers that daemons take jobs from: one line for each that lets nobody in."""
    login = login_of(settings)
    problems = []
    for server in settings.servers:
        try:
            _Session(_connected(server), login).close()
        except (OSError, StoreUnavailable, ProtocolError) as error:
            problems.append(f"{server}: {error}")
    return problems


def send_once(server: str, login: Login, headers: dict[str, str], body: bytes) -> None:
    """Send one message over a connection of its own; returns when the broker has confirmed it.

    :raises OSError, StoreUnavailable, ProtocolError: saying why it could not be sent.
    """
    session = _Session(_connected(server), login)
    try:
        session.send([(headers, body)])
    finally:
        session.close()


class _Session:
    """One connection, past its handshake.

    :ivar made: see :func:`snqd.stores.stomp.sender.frames_of`.
    :ivar unconfirmed: ids of the jobs that were sent and that the broker has not confirmed.
    """

    def __init__(self, connection: socket.socket, login: Login) -> None:
        self._connection = connection
        self._parser = Parser()
        self._frames: Iterator[Frame] = iter(())
        self._numbers = count(1)
        self.made: set[str] = set()
        self.unconfirmed: set[str] = set()
        try:
            connected = self._log_in(login)
            self.dialect: BrokerDialect = dialect_of(connected)
        except BaseException:
            connection.close()
            raise

    def send(self, messages: Sequence[Message], together: bool = False) -> None:
        """Send all, then wait until all are confirmed.

        :param together: in transactions, and not each alone.
        """
        waiting: dict[str, list[str]] = {}
        data = []
        at_once = TRANSACTION if together else 1
        for group in (messages[at : at + at_once] for at in range(0, len(messages), at_once)):
            number = str(next(self._numbers))
            waiting[number] = [headers.get(ID, "") for headers, _ in group]
            for command, headers, body in _transaction(group, number) if together else _alone(group, number):
                data.append(encode(command, headers, body, self._parser.version))
        self.unconfirmed.update(filter(None, chain.from_iterable(waiting.values())))
        try:
            self._write(b"".join(data), CONFIRM_TIMEOUT)
            while waiting:
                self._confirm(waiting, CONFIRM_TIMEOUT)
        except TimeoutError as error:
            missing = sum(map(len, waiting.values()))
            raise NotConnected(
                f"the broker has not confirmed {missing} of {len(messages)} messages within {CONFIRM_TIMEOUT:g} s: "
                "a memory or disk alarm stops those who send (see its log), and it may take them when that is over"
            ) from error
        except ProtocolError as error:
            raise NotConnected(f"the broker said what is no STOMP ({error})") from error

    def _confirm(self, waiting: dict[str, list[str]], timeout: float) -> None:
        number = self._next("RECEIPT", timeout).headers.get("receipt-id", "")
        self.unconfirmed.difference_update(waiting.pop(number, ()))

    def close(self) -> None:
        """Hang up; everything sent was confirmed."""
        self._connection.close()

    def _log_in(self, login: Login) -> Frame:
        headers = {"accept-version": ",".join(version.value for version in Version), "host": login.host}
        if login.username:
            headers.update(login=login.username, passcode=login.password)
        self._write(encode("CONNECT", headers), LOGIN_TIMEOUT)
        try:
            connected = self._next("CONNECTED", LOGIN_TIMEOUT)
            self._parser.version = Version(connected.headers.get("version", "1.0").strip())
        except TimeoutError as error:
            raise NoBroker(f"the broker did not answer to CONNECT within {LOGIN_TIMEOUT:g} s") from error
        except (ProtocolError, ValueError) as error:
            raise NoBroker(f"the broker said what is no STOMP ({error})") from error
        except NotConnected as error:
            raise NoBroker(f"the connection was closed before an answer to CONNECT: {error}") from error
        except BrokerError as error:
            raise LoginRefused(error.message, error.detail) from error
        return connected

    def _write(self, data: bytes, timeout: float) -> None:
        self._connection.settimeout(timeout)
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise NotConnected(f"the broker can't be written to: {error}") from error

    def _next(self, command: str, timeout: float) -> Frame:
        """The next frame of that kind.

        :raises TimeoutError: if it has not come after so many seconds, whatever else has.
        """
        deadline = monotonic() + timeout
        while True:
            for frame in self._frames:
                if frame.command == "ERROR":
                    detail = " ".join(frame.body.decode(errors="replace").split())
                    raise BrokerError(frame.headers.get("message", "ERROR").strip(), detail)
                if frame.command == command:
                    return frame
            self._frames = self._parser.feed(self._read(deadline - monotonic()))

    def _read(self, patience: float) -> bytes:
        if patience <= 0:
            raise TimeoutError
        self._connection.settimeout(patience)
        try:
            data = self._connection.recv(_READ_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise NotConnected(f"the connection to the broker was lost: {error}") from error
        if not data:
            raise NotConnected("the broker has closed the connection")
        return data


def _alone(messages: Sequence[Message], receipt: str) -> Iterator[tuple[str, dict[str, str], bytes]]:
    return (("SEND", {**headers, "receipt": receipt}, body) for headers, body in messages)


def _transaction(messages: Sequence[Message], receipt: str) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """STOMP 1.2, "BEGIN": the receipt of the COMMIT confirms all."""
    within = {"transaction": receipt}
    yield "BEGIN", within, b""
    for headers, body in messages:
        yield "SEND", {**headers, **within}, body
    yield "COMMIT", {**within, "receipt": receipt}, b""


def _connected(server: str) -> socket.socket:
    """A connection to a broker in any of the forms of :func:`snqd.stomp.endpoints.make_endpoint`."""
    scheme, _, rest = server.partition("://") if "://" in server else ("tcp", "", server)
    if "://" not in server and server.startswith(("unix:", "tcp:", "tls:")):
        scheme, rest = _from_endpoint(server)
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(LOGIN_TIMEOUT)
        connection.connect(rest)
        return connection
    secure = scheme in ("ssl", "stomp+ssl", "tls")
    host, port, trust = _address(rest, TLS_PORT if secure else PLAIN_PORT)
    connection = socket.create_connection((host, port), timeout=LOGIN_TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return connection
    context = ssl.create_default_context(capath=trust or None)
    return context.wrap_socket(connection, server_hostname=host)


def _from_endpoint(text: str) -> tuple[str, str]:
    scheme, _, rest = text.partition(":")
    if scheme == "unix":
        return scheme, rest.removeprefix("path=").partition(":")[0]
    return scheme, rest


def _address(text: str, default_port: int) -> tuple[str, int, str]:
    """Host, port, and the folder of authorities to trust, empty for the system's."""
    text, _, trust = text.rstrip("/").partition(":trustRoots=")
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port.lstrip(":") or default_port), trust
    host, _, port = text.partition(":")
    return host, int(port or default_port), trust
