from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from treq.client import HTTPClient
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionRefusedError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived

from snqd.monitor import ping_http, ping_udp
from snqd.monitor.ping import (
    BURST,
    PINGS_A_SECOND,
    MonitorTarget,
    NoPinger,
    Pinger,
    SwitchedPinger,
    make_pinger,
    parse_target,
)
from snqd.monitor.ping_http import HttpOutlet
from snqd.monitor.ping_pace import LOG_EVERY, MinuteLog, TokenBucket
from tests.unit.dates import Dates

UDP = "udp://127.0.0.1:9000"


class FakePort:
    """A datagram port that keeps what is written to it; `error` is raised instead, where one is set."""

    def __init__(self, protocol: DatagramProtocol, interface: str) -> None:
        self.protocol = protocol
        self.interface = interface
        self.address: tuple[str, int] | None = None
        self.written: list[bytes] = []
        self.error: Exception | None = None
        self.stopped = False

    def connect(self, host: str, port: int) -> None:
        if host == "192.0.2.1":
            raise OSError(101, "Network is unreachable")
        self.address = (host, port)

    def write(self, datagram: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.written.append(datagram)

    def stopListening(self) -> None:
        self.stopped = True
        self.protocol.stopProtocol()


class FakeReactor(Clock):
    """A clock with datagram ports and a resolver that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[FakePort] = []
        self.questions: list[tuple[str, Any]] = []
        self.can_listen = True
        self.nameResolver = self

    def listenUDP(self, port: int, protocol: DatagramProtocol, interface: str = "") -> FakePort:
        if not self.can_listen:
            raise CannotListenError(interface, port, OSError("no descriptors"))
        assert port == 0
        self.ports.append(FakePort(protocol, interface))
        return self.ports[-1]

    def resolveHostName(self, receiver: Any, host: str, port: int, transportSemantics: str) -> None:
        assert transportSemantics == "UDP"
        self.questions.append((host, receiver))

    def answer(self, *addresses: str) -> None:
        _, receiver = self.questions.pop(0)
        receiver.resolutionBegan(None)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("UDP", address, 9000))
        receiver.resolutionComplete()


@pytest.fixture
def reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def logged() -> Any:
    """The texts that were logged."""
    texts: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("snqd.monitor.ping"):
            texts.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield texts
    globalLogPublisher.removeObserver(observe)


def _count(pinger: Pinger, times: int = 1) -> None:
    pinger.counter("handled", "distrib", "peer.localhost", times)


COUNTED = (
    b"counter=handled&owners%5B0%5D=queue%3Adistrib&owners%5B1%5D=site%3Apeer.localhost&owners%5B2%5D=thread%3At.1"
)


def test_an_event_is_a_datagram(reactor: FakeReactor) -> None:
    pinger = Pinger(reactor, UDP, "t.1", Dates(reactor, 1795488107.80924))
    pinger.state("queue", "distrib")
    _count(pinger, 2)
    port = reactor.ports[0]
    assert port.written == [b"thread_id=t.1&state=queue&substate=distrib&ts=1795488107.8092", COUNTED, COUNTED]
    assert (port.address, port.interface) == (("127.0.0.1", 9000), "")


def test_what_has_no_queue_site_or_thread_names_none(reactor: FakeReactor) -> None:
    pinger = Pinger(reactor, UDP, "")
    pinger.counter("siteupdate", "", "")
    pinger.counter("siteupdate", "", "peer.localhost")
    assert reactor.ports[0].written == [
        b"counter=siteupdate",
        b"counter=siteupdate&owners%5B0%5D=site%3Apeer.localhost",
    ]


def test_the_rate_is_capped_and_what_is_dropped_is_logged_once_a_minute(
    reactor: FakeReactor, logged: list[str]
) -> None:
    pinger = Pinger(reactor, UDP, "t.1")
    _count(pinger, BURST + 7)
    written = reactor.ports[0].written
    assert len(written) == BURST
    _count(pinger, 5)
    reactor.advance(1)
    _count(pinger, PINGS_A_SECOND + 1)
    assert len(written) == BURST + PINGS_A_SECOND
    assert len(logged) == 1
    assert logged[0].startswith("Monitor udp://127.0.0.1:9000: 7 pings dropped")
    reactor.advance(LOG_EVERY)
    assert len(logged) == 2
    assert "6 pings dropped" in logged[1]
    reactor.advance(LOG_EVERY)
    assert len(logged) == 2
    assert not reactor.getDelayedCalls()


def test_a_name_is_resolved_once_and_pings_wait_for_it(reactor: FakeReactor) -> None:
    pinger = Pinger(reactor, "udp://monitor.example:9000", "t.1", Dates(reactor, 7.0))
    pinger.state("init")
    _count(pinger)
    assert [host for host, _ in reactor.questions] == ["monitor.example"]
    reactor.answer("192.0.2.7", "192.0.2.8")
    port = reactor.ports[0]
    assert port.address == ("192.0.2.7", 9000)
    assert port.written == [b"thread_id=t.1&state=init&substate=&ts=7", COUNTED]


def test_only_so_many_pings_wait_for_a_name(reactor: FakeReactor, logged: list[str]) -> None:
    pinger = Pinger(reactor, "udp://monitor.example:9000", "t.1")
    _count(pinger, ping_udp.MAX_WAITING + 3)
    reactor.answer("192.0.2.7")
    assert len(reactor.ports[0].written) == ping_udp.MAX_WAITING
    assert "3 pings dropped" in logged[0]


def test_a_name_is_resolved_again_after_an_hour(reactor: FakeReactor) -> None:
    pinger = Pinger(reactor, "udp://monitor.example:9000", "t.1")
    _count(pinger)
    reactor.answer("192.0.2.7")
    for answer, ports in (("192.0.2.7", 1), ("2001:db8::1", 2)):
        reactor.advance(ping_udp.RESOLVE_AFTER)
        _count(pinger)  # goes to the known address meanwhile
        reactor.answer(answer)
        assert len(reactor.ports) == ports
    _count(pinger)
    assert not reactor.questions
    old, new = reactor.ports
    assert (old.stopped, len(old.written)) == (True, 3)
    assert (new.address, new.interface, len(new.written)) == (("2001:db8::1", 9000), "::", 1)


def test_a_name_that_does_not_resolve_is_tried_again_after_a_minute(reactor: FakeReactor, logged: list[str]) -> None:
    pinger = Pinger(reactor, "udp://monitor.example:9000", "t.1")
    _count(pinger)
    reactor.answer()
    _count(pinger)
    assert not reactor.questions
    assert logged == ["Monitor udp://monitor.example:9000 did not take 1 pings: the host's name can't be resolved"]
    reactor.advance(ping_udp.RETRY_AFTER)
    _count(pinger)
    reactor.answer("192.0.2.7")
    assert len(reactor.ports[0].written) == 3


@pytest.mark.parametrize("error", [OSError(105, "No buffer space available"), MessageLengthError("message too long")])
def test_an_error_is_logged_at_once_and_then_once_a_minute(
    reactor: FakeReactor, logged: list[str], error: Exception
) -> None:
    pinger = Pinger(reactor, UDP, "t.1")
    _count(pinger)
    port = reactor.ports[0]
    port.error = error
    _count(pinger, 3)
    port.protocol.connectionRefused()
    assert logged == [f"Monitor udp://127.0.0.1:9000 did not take 1 pings: {error}"]
    reactor.advance(LOG_EVERY)
    assert logged[1:] == ["Monitor udp://127.0.0.1:9000 did not take 3 pings: nothing listens there"]


def test_a_socket_that_the_reactor_closed_is_replaced_after_a_minute(reactor: FakeReactor, logged: list[str]) -> None:
    pinger = Pinger(reactor, UDP, "t.1")
    _count(pinger)
    reactor.ports[0].protocol.stopProtocol()
    _count(pinger)
    assert len(reactor.ports) == 1
    assert "can't be reached" in logged[0]
    reactor.advance(ping_udp.RETRY_AFTER)
    _count(pinger)
    assert reactor.ports[1].written == [COUNTED, COUNTED]


def test_without_a_socket_it_tries_again_after_a_minute(reactor: FakeReactor, logged: list[str]) -> None:
    pinger = Pinger(reactor, UDP, "t.1")
    reactor.can_listen = False
    _count(pinger)
    assert "no socket: " in logged[0]
    reactor.can_listen = True
    _count(pinger)
    assert not reactor.ports
    reactor.advance(ping_udp.RETRY_AFTER)
    _count(pinger)
    assert reactor.ports[0].written == [COUNTED] * 3


def test_a_network_that_is_unreachable_is_only_logged(reactor: FakeReactor, logged: list[str]) -> None:
    _count(Pinger(reactor, "udp://192.0.2.1:9000", "t.1"))
    assert logged == [
        "Monitor udp://192.0.2.1:9000 did not take 1 pings: no socket: [Errno 101] Network is unreachable"
    ]
    assert reactor.ports[0].stopped


def test_closed_it_sends_nothing_and_leaves_nothing(reactor: FakeReactor, logged: list[str]) -> None:
    pinger = Pinger(reactor, UDP, "t.1")
    _count(pinger, BURST + 1)
    _count(pinger, 4)
    assert pinger.close().called
    _count(pinger)
    pinger.state("idle")
    assert len(reactor.ports[0].written) == BURST
    assert reactor.ports[0].stopped
    assert "4 pings dropped" in logged[-1]
    assert not reactor.getDelayedCalls()


def test_closed_while_a_name_is_resolved_it_opens_no_socket(reactor: FakeReactor) -> None:
    pinger = Pinger(reactor, "udp://monitor.example:9000", "t.1")
    _count(pinger)
    assert pinger.close().called
    reactor.answer("192.0.2.7")
    assert not reactor.ports


# HTTP


@attrs.define
class FakeResponse:
    code: int
    protocol: Any = None
    cut: bool = False

    def deliverBody(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def loseConnection(self) -> None:
        self.cut = True

    def end(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class FakeClient:
    """treq's client: keeps requests unanswered."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.requests: list[Deferred[FakeResponse]] = []
        self.fail_at_once: Exception | None = None

    def post(
        self, url: str, data: bytes, headers: dict[str, list[str]], allow_redirects: bool
    ) -> Deferred[FakeResponse]:
        assert url == "http://monitor.example/ping"
        assert headers == {"Content-Type": ["application/x-www-form-urlencoded"]}
        assert not allow_redirects
        self.bodies.append(data)
        if self.fail_at_once is not None:
            return fail(self.fail_at_once)
        self.requests.append(Deferred())
        return self.requests[-1]

    def answer(self, number: int, code: int = 200, body: bytes = b"") -> FakeResponse:
        response = FakeResponse(code)
        self.requests[number].callback(response)
        response.protocol.dataReceived(body)
        return response


@attrs.define
class Posting:
    """An outlet with its client and what it complained of."""

    reactor: MemoryReactorClock = attrs.field(factory=MemoryReactorClock)
    client: FakeClient = attrs.field(factory=FakeClient)
    complaints: list[str] = attrs.field(factory=list)

    def outlet(self) -> HttpOutlet:
        return HttpOutlet(self.reactor, "http://monitor.example/ping", self.complaints.append, self.client)


@pytest.fixture
def posting() -> Posting:
    return Posting()


def test_only_a_few_posts_are_in_flight(posting: Posting) -> None:
    outlet = posting.outlet()
    pings = [b"%d" % n for n in range(7)]
    assert all(map(outlet.send, pings))
    assert posting.client.bodies == pings[:4]
    posting.client.answer(1).end()
    assert posting.client.bodies == pings[:5]
    assert posting.complaints == []


def test_what_too_many_wait_for_is_not_taken(posting: Posting) -> None:
    outlet = posting.outlet()
    taken = [outlet.send(b"x") for _ in range(ping_http.MAX_IN_FLIGHT + ping_http.MAX_WAITING + 2)]
    assert taken[-3:] == [True, False, False]


@pytest.mark.parametrize(("code", "complaints"), [(204, []), (302, ["it answers 302"]), (500, ["it answers 500"])])
def test_an_answer_counts_by_its_status(posting: Posting, code: int, complaints: list[str]) -> None:
    posting.outlet().send(b"x")
    posting.client.answer(0, code, b"thanks").end()
    assert posting.complaints == complaints


def test_a_long_answer_is_cut_off(posting: Posting) -> None:
    outlet = posting.outlet()
    for _ in range(5):
        outlet.send(b"x")
    short = posting.client.answer(0, 200, b"x" * ping_http.MAX_ANSWER_BYTES)
    long = posting.client.answer(1, 200, b"x" * (ping_http.MAX_ANSWER_BYTES + 1))
    assert (short.cut, long.cut) == (False, True)
    assert len(posting.client.bodies) == 4
    long.end()
    assert len(posting.client.bodies) == 5


@pytest.mark.parametrize("answer", [lambda client: None, lambda client: client.answer(0)], ids=["silent", "endless"])
def test_a_monitor_that_does_not_come_to_an_end_is_given_up(
    posting: Posting, answer: Callable[[FakeClient], object]
) -> None:
    posting.outlet().send(b"x")
    answer(posting.client)
    posting.reactor.advance(ping_http.TIMEOUT)
    assert posting.complaints == ["no answer within 10 s"]
    assert not posting.reactor.getDelayedCalls()


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (ConnectionRefusedError("nobody"), "ConnectionRefusedError: Connection was refused by other side: nobody."),
        (ResponseNeverReceived([Failure(ValueError("why"))]), "ValueError: why"),
    ],
)
def test_a_failure_is_told_and_the_next_ping_sent(posting: Posting, error: Exception, complaint: str) -> None:
    outlet = posting.outlet()
    for _ in range(5):
        outlet.send(b"x")
    posting.client.requests[0].errback(error)
    assert posting.complaints == [complaint]
    assert len(posting.client.bodies) == 5


def test_failures_at_once_do_not_pile_up(posting: Posting) -> None:
    outlet = posting.outlet()
    for _ in range(400):
        outlet.send(b"x")
    posting.client.fail_at_once = ValueError("why")
    posting.client.requests[0].errback(ValueError("why"))
    assert posting.complaints == ["ValueError: why"] * 397


def test_closing_sends_what_waits(posting: Posting) -> None:
    outlet = posting.outlet()
    for _ in range(5):
        outlet.send(b"x")
    closed = outlet.close()
    for number in range(5):
        assert not closed.called
        posting.client.answer(number).end()
    assert closed.called
    assert not posting.reactor.getDelayedCalls()


def test_closing_gives_up_after_a_while(posting: Posting) -> None:
    outlet = posting.outlet()
    for _ in range(6):
        outlet.send(b"x")
    posting.client.answer(0)
    closed = outlet.close()
    posting.reactor.advance(ping_http.CLOSE_TIMEOUT)
    assert closed.called
    assert len(posting.client.bodies) == 4
    assert posting.complaints == []
    assert not posting.reactor.getDelayedCalls()


def test_an_idle_outlet_closes_at_once(posting: Posting) -> None:
    assert posting.outlet().close().called


def test_an_http_target_is_posted_to() -> None:
    reactor = MemoryReactorClock()
    pinger = Pinger(reactor, "http://127.0.0.1:8080/ping", "t.1")
    _count(pinger)
    assert reactor.tcpClients[0][:2] == ("127.0.0.1", 8080)
    closed = pinger.close()
    reactor.advance(ping_http.CLOSE_TIMEOUT)
    assert closed.called
    assert not reactor.getDelayedCalls()


def test_the_client_is_treqs_unless_one_is_given() -> None:
    outlet = HttpOutlet(MemoryReactorClock(), "http://monitor.example/ping", print)
    assert isinstance(outlet._client, HTTPClient)


# Targets and paces


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("", None),
        ("udp://monitor.example:9000", MonitorTarget("udp", "monitor.example", 9000, "udp://monitor.example:9000")),
        ("UDP://[::1]:9000", MonitorTarget("udp", "::1", 9000, "UDP://[::1]:9000")),
        ("http://m.example/a?b=c", MonitorTarget("http", "m.example", None, "http://m.example/a?b=c")),
        ("https://m.example:8443", MonitorTarget("https", "m.example", 8443, "https://m.example:8443")),
    ],
)
def test_reads_a_target(text: str, target: MonitorTarget | None) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost", "it begins with no scheme"),
        ("localhost:9000", "localhost:// is not supported"),
        ("tcp://localhost:9000", "tcp:// is not supported"),
        ("udp://:9000", "the host is missing"),
        ("http://", "the host is missing"),
        ("udp://localhost", "the port is missing"),
        ("udp://localhost:0", "port 0 can't be sent to"),
        ("udp://localhost:65536", "Port out of range 0-65535"),
        ("udp://localhost:9000/x", "nothing may follow the port"),
        ("udp://[::1:9000", "Invalid IPv6 URL"),
        ("http://user:secret@host/", "user and password are not supported"),
        ("http://host/a b", "only printable ASCII characters are allowed, and no blanks"),
        ("udp://höst:9000", "only printable ASCII characters are allowed, and no blanks"),
        ("udp://host:9000\n", "only printable ASCII characters are allowed, and no blanks"),
    ],
)
def test_refuses_what_is_no_target(text: str, reason: str) -> None:
    wanted = "a monitor is given as udp://host:port or as an http:// or https:// URL"
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        parse_target(text)
    assert str(caught.value) == f"{text!a}: {reason}; {wanted}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("udp://[::1]:9000", "udp://[::1]:9000"), ("http://m.example/token?secret", "http://m.example")],
)
def test_a_target_is_shown_without_path_and_query(text: str, shown: str) -> None:
    assert str(parse_target(text)) == shown


def test_without_a_target_nothing_is_sent(reactor: FakeReactor) -> None:
    pinger = make_pinger(reactor, "", "t.1")
    assert isinstance(pinger, NoPinger)
    pinger.state("idle")
    pinger.counter("handled", "q", "s", 3)
    assert pinger.close().called
    assert isinstance(make_pinger(reactor, UDP, "t.1"), Pinger)
    with pytest.raises(ValueError, match="no monitor is given"):
        Pinger(reactor, "", "t.1")


def test_tokens_come_back_at_the_rate_up_to_the_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(clock.seconds, 10, 20)
    assert [bucket.take(15), bucket.take(15)] == [15, 5]
    clock.advance(0.25)
    assert bucket.take(15) == 2
    clock.advance(0.0625)
    assert bucket.take(15) == 1
    clock.advance(3600)
    assert bucket.take(100) == 20


def test_a_clock_that_is_set_back_costs_no_tokens() -> None:
    times = iter([100.0, 50.0, 51.0])
    bucket = TokenBucket(lambda: next(times), 10, 20)
    assert [bucket.take(20), bucket.take(20)] == [20, 10]


def test_a_minute_log_closed_says_what_is_left_once() -> None:
    clock = Clock()
    said: list[tuple[int, str]] = []
    log = MinuteLog(clock, lambda count, detail: said.append((count, detail)))
    log.note("a")
    log.note("b")
    log.note("c", 4)
    log.close()
    log.close()
    assert said == [(1, "a"), (5, "c")]
    assert not clock.getDelayedCalls()


class Noted:
    """A pinger that notes what it is told."""

    def __init__(self, target: str, notes: list[str]) -> None:
        self.target = target
        self.notes = notes

    def state(self, state: str, substate: str = "") -> None:
        self.notes.append(f"{self.target} {state} {substate}")

    def counter(self, name: str, queue: str, site_server: str, times: int = 1) -> None:
        self.notes.append(f"{self.target} {name} {queue} {site_server} {times}")

    def close(self) -> Deferred[None]:
        self.notes.append(f"{self.target} closed")
        return succeed(None)


def test_another_monitor_is_told_the_present_state_and_the_old_one_is_let_go() -> None:
    notes: list[str] = []
    pinger = SwitchedPinger(lambda target: Noted(target, notes), "old")
    pinger.state("queue", "mail")
    pinger.switch("old")
    pinger.switch("new")
    pinger.counter("handled", "mail", "alpha.example")
    pinger.close()
    assert notes == [
        "old queue mail",
        "old closed",
        "new queue mail",
        "new handled mail alpha.example 1",
        "new closed",
    ]
