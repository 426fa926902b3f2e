import os
import signal

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from snqd.core.outcome import ACK, DeadLetter, Retry
from snqd.handlers.exec import MAX_LOGGED_LINES, ExecHandler
from snqd.handlers.invoke import run

from .doubles import running_job, settings
from .test_process import FakeTransport


class FakeReactor(Clock):
    """Keeps what was spawned."""

    def __init__(self):
        super().__init__()
        self.spawned = []
        self.error = None

    def spawnProcess(self, protocol, executable, args, env):
        if self.error:
            raise self.error
        self.spawned.append((executable, args, env))
        self.protocol = protocol
        protocol.makeConnection(FakeTransport())

    def end(self, reason):
        self.protocol.processExited(Failure(reason))
        self.protocol.processEnded(Failure(reason))


def made(target="exec: /bin/cat {site} {queue} {id}"):
    handler = ExecHandler(settings(target=target))
    handler.reactor = FakeReactor()
    handler.start()
    return handler, handler.reactor


def outcome_after(reason, stderr=b"", stdout=b""):
    handler, reactor = made()
    waiting = run(handler, running_job(), reactor)
    reactor.protocol.childDataReceived(1, stdout)
    reactor.protocol.childDataReceived(2, stderr)
    reactor.end(reason)
    assert reactor.getDelayedCalls() == []
    return waiting.result


def test_the_command_runs_in_a_session_of_its_own_with_its_arguments_filled_in():
    handler, reactor = made("exec: /bin/cat '{site} and {queue}' --id={id} 'two words' $HOME ; rm")
    run(handler, running_job(), reactor)
    executable, args, _ = reactor.spawned[0]
    assert executable == args[0]
    assert args[0].endswith("/setsid")
    assert args[1:] == ["/bin/cat", "alpha and thumbnails", "--id=job-1", "two words", "$HOME", ";", "rm"]


def test_the_environment_is_the_daemons_and_the_jobs(monkeypatch):
    monkeypatch.setenv("OWN", "daemon")
    handler, reactor = made()
    run(handler, running_job(), reactor)
    environment = reactor.spawned[0][2]
    own = {name: environment.pop(name) for name in ("SNQD_SITE", "SNQD_QUEUE", "SNQD_JOB", "SNQD_ATTEMPT")}
    assert own == {"SNQD_SITE": "alpha", "SNQD_QUEUE": "thumbnails", "SNQD_JOB": "job-1", "SNQD_ATTEMPT": "2"}
    assert environment == dict(os.environ)


def test_the_payload_is_json_on_stdin():
    handler, reactor = made()
    run(handler, running_job(b'{"name": "Zo\xc3\xab"}'), reactor)
    assert reactor.protocol.transport.written == '{"name":"Zoë"}'.encode()


def test_a_payload_that_cannot_be_decoded_never_runs_the_command():
    handler, reactor = made()
    assert isinstance(run(handler, running_job(b"{"), reactor), DeadLetter)
    assert reactor.spawned == []


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (ProcessDone(0), ACK),
        (ProcessTerminated(75), Retry("exit code 75: no space")),
        (ProcessTerminated(65), DeadLetter("exit code 65: no space")),
        (ProcessTerminated(1), Retry("exit code 1: no space")),
        (ProcessTerminated(signal=signal.SIGKILL), Retry("killed by signal 9 (SIGKILL): no space")),
        (ProcessTerminated(signal=50), Retry("killed by signal 50 (real-time): no space")),
    ],
)
def test_the_way_it_ends_decides(reason, outcome):
    assert outcome_after(reason, stderr=b"trying\nno space\n\n") == outcome


def test_a_silent_failure_has_its_code_as_the_reason():
    assert outcome_after(ProcessTerminated(1)) == Retry("exit code 1")


def test_a_complaint_that_is_no_utf8_is_shown_all_the_same():
    assert outcome_after(ProcessTerminated(1), stderr=b"\xff!").reason == r"exit code 1: \xff!"


def test_output_is_logged_line_by_line_and_bounded():
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        outcome_after(ProcessDone(0), stdout=b"x\n" * (MAX_LOGGED_LINES + 10), stderr=b"warning\n")
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert {event["log_level"] for event in events} == {LogLevel.debug}
    assert [event["line"] for event in events] == ["x"] * MAX_LOGGED_LINES + ["warning"]


def test_an_id_that_would_be_taken_for_an_option_is_rejected():
    handler, reactor = made()
    outcome = run(handler, running_job(id="--help"), reactor)
    assert outcome == DeadLetter("the command would take --help for an option: write it as --option={id} or after --")
    assert reactor.spawned == []


def test_a_command_that_has_vanished_is_a_retry(tmp_path):
    command = tmp_path / "command"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    handler, reactor = made(f"exec: {command}")
    command.unlink()
    assert run(handler, running_job(), reactor).reason == f"can't run {command}: no executable file '{command}'"


def test_a_command_that_cannot_be_spawned_is_a_retry():
    handler, reactor = made()
    reactor.error = OSError(11, "Resource temporarily unavailable")
    assert "Resource temporarily unavailable" in run(handler, running_job(), reactor).reason


def test_a_command_that_depends_on_the_site_is_looked_for_when_it_runs():
    handler, reactor = made("exec: /srv/{site}/bin/job")
    assert "/srv/alpha/bin/job" in run(handler, running_job(), reactor).reason


def test_closing_kills_what_runs_and_waits_for_its_end(monkeypatch):
    killed = []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append(number))
    handler, reactor = made()
    run(handler, running_job(), reactor)
    closed = handler.close()
    assert killed == [signal.SIGKILL]
    assert not closed.called
    reactor.end(ProcessTerminated(signal=9))
    assert closed.called


def test_closing_has_nothing_to_wait_for_when_nothing_runs():
    handler, reactor = made()
    run(handler, running_job(), reactor)
    reactor.end(ProcessDone(0))
    assert handler.close().called


def test_closing_kills_what_a_cancelled_command_left_behind(monkeypatch):
    killed = []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append(number))
    handler, reactor = made()
    waiting = run(handler, running_job(), reactor)
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    reactor.end(ProcessTerminated(signal=15))
    assert handler.close().called
    assert killed[-1] == signal.SIGKILL
    assert reactor.getDelayedCalls() == []
