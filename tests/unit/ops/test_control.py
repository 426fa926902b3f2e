"""The control socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, StringTransport

from snqd.core.errors import DaemonNotRunning, SnqdError
from snqd.ops.control import MAX_REQUEST_BYTES, ControlFailed, call
from snqd.ops.control_server import (
    MAX_PATH_BYTES,
    ControlProtocol,
    ControlServer,
    ControlSocketUnusable,
    daemon_commands,
)


def refuse(request: Any) -> Any:
    raise SnqdError("no such site")


def crash(request: Any) -> Any:
    return 1 / 0


class Served:
    """A connected ControlProtocol."""

    def __init__(self) -> None:
        self.slow: Deferred[Any] = Deferred()
        self.protocol = ControlProtocol(
            {"echo": dict, "slow": lambda request: self.slow, "refuse": refuse, "crash": crash}
        )
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def answers(self, *requests: bytes) -> list[Any]:
        self.transport.clear()
        self.protocol.dataReceived(b"".join(request + b"\n" for request in requests))
        return [json.loads(line) for line in self.transport.value().splitlines()]


@pytest.fixture
def served() -> Served:
    return Served()


def test_each_request_gets_one_line(served: Served) -> None:
    assert served.answers(b'{"command": "echo", "n": 1}', b'{"command": "echo", "n": 2}') == [
        {"command": "echo", "n": 1},
        {"command": "echo", "n": 2},
    ]


def test_an_answer_may_take_its_time(served: Served) -> None:
    assert served.answers(b'{"command": "slow"}') == []
    served.slow.callback({"done": True})
    assert json.loads(served.transport.value()) == {"done": True}


@pytest.mark.parametrize("line", [b"stop", b"{}", b"[]", b"1", b'"stop"', b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_told_what_one_is(served: Served, line: bytes) -> None:
    assert served.answers(line) == [{"error": 'a request is one line of JSON: {"command": NAME, ...}'}]


@pytest.mark.parametrize("command", ['"nope"', "7", '["echo"]'])
def test_an_unknown_command_is_told_which_there_are(served: Served, command: str) -> None:
    (answer,) = served.answers(f'{{"command": {command}}}'.encode())
    assert "there are crash, echo, refuse, slow" in answer["error"]


def test_errors_are_answers_too(served: Served) -> None:
    assert served.answers(b'{"command": "refuse"}') == [{"error": "no such site"}]
    assert served.answers(b'{"command": "crash"}') == [{"error": "division by zero"}]
    assert served.answers(b'{"command": "echo"}') == [{"command": "echo"}]


def test_a_request_without_end_is_refused(served: Served) -> None:
    served.protocol.dataReceived(b"x" * (MAX_REQUEST_BYTES + 1))
    assert json.loads(served.transport.value()) == {"error": f"a request has at most {MAX_REQUEST_BYTES} bytes"}
    assert served.transport.disconnecting


class FakeDaemon:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def status(self) -> Any:
        return {"daemon": {}}

    def set_log_level(self, namespace: str, level: str) -> None:
        self.calls.append(f"log {namespace} from {level} on")

    def tell_children(self, command: Any) -> None:
        self.calls.append(command.__name__)

    def shut_down(self, reason: str) -> None:
        self.calls.append(f"shut down: {reason}")


def test_a_daemon_can_be_asked() -> None:
    daemon = FakeDaemon()
    commands = daemon_commands(daemon)  # type: ignore[arg-type]
    request = {"namespace": "snqd.queues", "level": "debug"}
    answers = {name: command(request) for name, command in commands.items()}
    assert answers == {
        "ping": {"pong": True},
        "status": {"daemon": {}},
        "log-level": request,
        "wake": {"woken": True},
        "stop": {"stopping": True},
    }
    assert daemon.calls == ["log snqd.queues from debug on", "Wake", "shut down: the control socket was told to stop"]


class UnixReactor(MemoryReactorClock):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    def listenUNIX(self, address: str, factory: Any, **keywords: Any) -> Any:
        if self.error:
            raise self.error
        self.listening = (address, keywords)
        return super().listenUNIX(address, factory)


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    reactor = UnixReactor()
    ControlServer(reactor, path, {}).startService()
    assert not path.exists()
    assert reactor.listening == (str(path), {"mode": 0o600})


def test_another_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    reactor = UnixReactor(CannotListenError(None, str(path), OSError(98, "Address already in use")))
    with pytest.raises(ControlSocketUnusable, match=r"control.sock can't be made .* correct \[snqd\] control"):
        ControlServer(reactor, path, {}).startService()
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    path = tmp_path / ("x" * MAX_PATH_BYTES)
    with pytest.raises(ControlSocketUnusable, match=f"more than {MAX_PATH_BYTES} bytes"):
        ControlServer(UnixReactor(), path, {}).startService()


Answering = Callable[[bytes], Path]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """Makes a socket whose other end reads one line and answers so."""
    threads: list[threading.Thread] = []

    def make(answer: bytes) -> Path:
        path = tmp_path / "answering.sock"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with server, server.accept()[0] as client, client.makefile("rb") as lines:
                make.asked = lines.readline()  # type: ignore[attr-defined]
                client.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path

    yield make
    for thread in threads:
        thread.join(10)


def test_a_call_sends_its_arguments_and_returns_the_answer(answering: Any) -> None:
    path = answering(json.dumps({"big": "x" * 200_000}).encode() + b"\n")
    assert call(path, "status", verbose=True) == {"big": "x" * 200_000}
    assert json.loads(answering.asked) == {"command": "status", "verbose": True}


def test_a_call_raises_what_the_daemon_refused(answering: Answering) -> None:
    with pytest.raises(ControlFailed, match="the daemon refused stop: not now"):
        call(answering(b'{"error": "not now"}\n'), "stop")


def test_a_call_raises_when_the_daemon_ends_before_it_answers(answering: Answering) -> None:
    with pytest.raises(ControlFailed, match="ended before it answered status"):
        call(answering(b'{"half'), "status")


def test_a_call_raises_when_no_answer_comes(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        with pytest.raises(ControlFailed, match="did not answer status: timed out"):
            call(tmp_path / "silent.sock", "status", timeout=0.05)


def test_a_call_without_a_daemon_says_so(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match="no daemon answers at"):
        call(tmp_path / "none.sock", "status")
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "closed.sock"))
    with pytest.raises(DaemonNotRunning, match="no daemon answers at"):
        call(tmp_path / "closed.sock", "status")
