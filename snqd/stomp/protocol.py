"""StompProtocol: one session with a broker: handshake, receipts, heart-beats, and one write in a reactor turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from snqd.core.errors import SnqdError
from snqd.stomp.encoder import HEART_BEAT, encode
from snqd.stomp.errors import BrokerError, LoginRefused, NoBroker, NotConnected, ProtocolError
from snqd.stomp.frame import Frame, Version
from snqd.stomp.heart_beats import TOLERANCE, HeartBeats, agree, header
from snqd.stomp.login import Login
from snqd.stomp.parser import Parser
from snqd.stomp.session_tenure import SessionTenure

HANDSHAKE_TIMEOUT = 20.0
"""Seconds that a broker has to answer to CONNECT."""
GOODBYE_TIMEOUT = 5.0
"""Seconds that it has to answer to DISCONNECT."""
_DETAIL_CHARS = 300
_IN_HANDSHAKE = ("CONNECTED", "ERROR")
_IN_SESSION = ("MESSAGE", "RECEIPT", "ERROR")
_ACCEPTED = ",".join(version.value for version in Version)


@implementer(IPushProducer)
class StompProtocol(Protocol):
    """A client's session.

    What is sent in one turn of the reactor goes out in one write, and acknowledgements that may wait go with it. While
    the transport does not take more it is kept, and `room` tells who has much to send when to go on.

    :param on_message: called with each MESSAGE.
    :ivar ready: fires with the CONNECTED frame, or fails.
    :ivar lost: fires with the reason once the connection is gone.
    :ivar tenure: of the messages that have come.
    """

    transport: Any

    def __init__(self, reactor: Any, login: Login, on_message: Callable[[Frame], object]) -> None:
        self._reactor = reactor
        self._login = login
        self._parser = Parser()
        self._out: list[bytes] = []
        self._flushing: IDelayedCall | None = None
        self._is_patient = False
        self._paused = False
        self._waiting_for_room: list[Deferred[None]] = []
        self._receipts: dict[str, Deferred[None]] = {}
        self._numbers = count(1)
        self._error: SnqdError | None = None
        self._beats = HeartBeats()
        self._heard = 0.0
        self.tenure = SessionTenure(reactor)
        self._loops: list[LoopingCall] = []
        self._timeout: IDelayedCall | None = None
        self._last_chance: IDelayedCall | None = None
        self._handlers: dict[str, Callable[[Frame], object]] = {
            "MESSAGE": on_message,
            "RECEIPT": self._receipt,
            "ERROR": self._broker_error,
            "CONNECTED": self._connected,
        }
        self.version = Version.V1_2
        self.connected_frame: Frame | None = None
        self.ready: Deferred[Frame] = Deferred()
        self.lost: Deferred[SnqdError] = Deferred()

    # Sending.

    def send(self, destination: str, headers: Mapping[str, str], body: bytes) -> Deferred[None]:
        """SEND; fires when the broker has confirmed it, fails with a StoreUnavailable if it does not.

        :raises ProtocolError: if a header can't be said.
        """
        return self._confirmed("SEND", {"destination": destination, **headers}, body)

    def subscribe(self, name: str, destination: str, headers: Mapping[str, str]) -> Deferred[None]:
        """SUBSCRIBE under the id `name`, with an ACK for each message; fires when the broker has confirmed it."""
        return self._confirmed(
            "SUBSCRIBE", {"id": name, "destination": destination, "ack": "client-individual", **headers}
        )

    def unsubscribe(self, name: str, destination: str) -> Deferred[None]:
        """UNSUBSCRIBE; fires when the broker has confirmed it."""
        return self._confirmed("UNSUBSCRIBE", {"id": name, "destination": destination})

    def ack(self, message: Frame, patience: float = 0.0) -> None:
        """Tell the broker that `message` is settled; not confirmed.

        :param patience: seconds that it may wait for others to go out with it; whatever else is sent takes it along.
        """
        self._write("ACK", self._answer_to(message), patience=patience)

    def ack_surely(self, message: Frame) -> Deferred[None]:
        """Tell the broker that `message` is settled; fires when it has confirmed that."""
        return self._confirmed("ACK", self._answer_to(message))

    def nack(self, message: Frame) -> None:
        """Give `message` back to the broker; what that does differs between brokers."""
        self._write("NACK", self._answer_to(message))

    @property
    def unsent(self) -> int:
        """How many frames have not gone out yet."""
        return len(self._out)

    @property
    def unconfirmed(self) -> int:
        """How many frames the broker has been asked to confirm and has not confirmed yet."""
        return len(self._receipts)

    def disconnect(self) -> Deferred[None]:
        """Say goodbye once everything sent is processed; fires when the connection is gone."""
        if self.lost.called:
            return succeed(None)
        if self.connected_frame is None:
            self.drop(NotConnected("the connection was closed during its handshake"))
        else:
            self._confirmed("DISCONNECT", {}).addCallbacks(lambda _: self._lose(), lambda _: None)
            self._timeout = self._reactor.callLater(GOODBYE_TIMEOUT, self._abort)
        gone: Deferred[None] = Deferred()

        def tell(reason: SnqdError) -> SnqdError:
            gone.callback(None)
            return reason

        self.lost.addCallback(tell)
        return gone

    def drop(self, reason: SnqdError) -> None:
        """Cut the connection because of `reason`."""
        if self._error is None:
            self._error = reason
        self._abort()

    def room(self) -> Deferred[None]:
        """Fires when the transport takes more, at once while it does; fails when the connection is gone."""
        waiting: Deferred[None] = Deferred()
        if self.lost.called:
            waiting.errback(self._reason(None))
        elif self._paused:
            self._waiting_for_room.append(waiting)
        else:
            waiting.callback(None)
        return waiting

    def _confirmed(self, command: str, headers: dict[str, str], body: bytes = b"") -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if self.lost.called:
            done.errback(self._reason(None))
            return done
        number = str(next(self._numbers))
        headers["receipt"] = number
        self._write(command, headers, body)
        self._receipts[number] = done
        return done

    def _answer_to(self, message: Frame) -> dict[str, str]:
        if self.version is Version.V1_2:
            return {"id": message.headers.get("ack", "")}
        headers = {"message-id": message.headers.get("message-id", "")}
        if self.version is Version.V1_1:
            headers["subscription"] = message.headers.get("subscription", "")
        return headers

    def _write(self, command: str, headers: Mapping[str, str], body: bytes = b"", patience: float = 0.0) -> None:
        self._out.append(encode(command, headers, body, self.version))
        if self._flushing is None:
            if not self._paused:
                self._flushing = self._reactor.callLater(patience, self._flush)
                self._is_patient = patience > 0
        elif self._is_patient and not patience:
            self._flushing.reset(0)
            self._is_patient = False

    def _flush(self) -> None:
        self._flushing = None
        if self._out and not self._paused:
            out, self._out = self._out, []
            self.transport.write(b"".join(out))

    # Back-pressure (IPushProducer).

    def pauseProducing(self) -> None:
        """The transport takes no more for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._paused = False
        self._cancel(self._flushing)
        self._flush()
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for done in waiting:
            done.callback(None)

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""
        self._paused = True

    # The connection.

    def connectionMade(self) -> None:
        """Begin the handshake."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        login = self._login
        headers = {"accept-version": _ACCEPTED, "host": login.host, "heart-beat": header(login.heart_beat)}
        if login.username:
            headers.update(login=login.username, passcode=login.password)
        self._timeout = self._reactor.callLater(HANDSHAKE_TIMEOUT, self._no_answer)
        try:
            self._write("CONNECT", headers)
        except ProtocolError as error:
            self.drop(error)

    def dataReceived(self, data: bytes) -> None:
        """Take in what came; whatever it is shows that the broker lives."""
        self._heard = self._reactor.seconds()
        self.tenure.read()
        try:
            for frame in self._parser.feed(data):
                self._dispatch(frame)
        except ProtocolError as error:
            what = f"the broker said what is no STOMP ({error})"
            self.drop(NotConnected(what) if self.connected_frame is not None else NoBroker(what))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail everybody who waits."""
        self._cancel(self._timeout)
        self._cancel(self._flushing)
        self._cancel(self._last_chance)
        for loop in self._loops:
            loop.stop()
        self.tenure.end()
        self._out.clear()
        error = self._reason(reason)
        waiting = [*self._receipts.values(), *self._waiting_for_room]
        self._receipts, self._waiting_for_room = {}, []
        self.lost.callback(error)
        if not self.ready.called:
            self.ready.errback(error)
        for done in waiting:
            done.errback(error)

    def _reason(self, reason: Failure | None) -> SnqdError:
        if self._error is not None:
            return self._error
        why = f": {reason.getErrorMessage().rstrip('.')}" if reason is not None else ""
        if self.connected_frame is None:
            if reason is not None and reason.check(ConnectionDone, ConnectionLost):
                why = ""  # how it was closed changes from one time to the next, and tells nothing
            return NoBroker(f"the connection was closed before an answer to CONNECT{why}")
        return NotConnected(f"the connection to the broker was lost{why}")

    def _lose(self) -> None:
        self.transport.unregisterProducer()  # TLS waits for a producer's end
        self.transport.loseConnection()

    def _abort(self) -> None:
        self.transport.abortConnection()

    def _no_answer(self) -> None:
        self.drop(NoBroker(f"the broker did not answer to CONNECT within {HANDSHAKE_TIMEOUT:.0f} s"))

    def _cancel(self, call: IDelayedCall | None) -> None:
        if call is not None and call.active():
            call.cancel()

    # Frames.

    def _dispatch(self, frame: Frame) -> None:
        if frame.command not in (_IN_SESSION if self.connected_frame is not None else _IN_HANDSHAKE):
            raise ProtocolError(f"{frame.command} is no frame that a broker may send at this point")
        self._handlers[frame.command](frame)

    def _connected(self, frame: Frame) -> None:
        self._cancel(self._timeout)
        try:
            self.version = self._parser.version = Version(frame.headers.get("version", "1.0").strip())
        except ValueError:
            raise ProtocolError(f"the broker chose version {frame.headers['version'][:20]!a}, not offered") from None
        self.connected_frame = frame
        self._beats = agree(self._login.heart_beat, frame.headers.get("heart-beat"))
        if self._beats.send:
            self.tenure.begin(self._beats.send)
            self._every(self._beats.send / 2, self._beat)
        if self._beats.receive:
            self._every(self._beats.receive / 2, self._listen)
        self.ready.callback(frame)

    def _receipt(self, frame: Frame) -> None:
        done = self._receipts.pop(frame.headers.get("receipt-id", ""), None)
        if done is not None:
            done.callback(None)

    def _broker_error(self, frame: Frame) -> None:
        """A broker closes the connection after an ERROR; some leave that to us."""
        detail = " ".join(frame.body.decode(errors="replace").split())[:_DETAIL_CHARS]
        kind = BrokerError if self.connected_frame is not None else LoginRefused
        self.drop(kind(frame.headers.get("message", "ERROR").strip(), detail))

    def _every(self, interval: float, call: Callable[[], object]) -> None:
        loop = LoopingCall(call)
        loop.clock = self._reactor
        self._loops.append(loop)
        loop.start(interval, now=False)

    def _beat(self) -> None:
        self.tenure.beat()
        # Nothing while something waits to be written: that will show that we live as soon as it can.
        if not self._out and not self._paused:
            self.transport.write(HEART_BEAT)

    def _listen(self) -> None:
        if self._is_silent:
            # After this turn the reactor reads what has come while it was busy, or stopped.
            self._last_chance = self._reactor.callLater(0, self._give_up_if_silent)

    @property
    def _is_silent(self) -> bool:
        return bool(self._reactor.seconds() - self._heard > self._beats.receive * TOLERANCE)

    def _give_up_if_silent(self) -> None:
        if self._is_silent:
            self.drop(NotConnected(f"the broker was silent for {self._reactor.seconds() - self._heard:.0f} s"))
