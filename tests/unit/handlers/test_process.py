import os
import signal

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.handlers.process import KEPT_BYTES, PIPES_LINGER, TERM_TO_KILL, ProcessEnd, RunningCommand, Tail

PID = 4711


class FakeTransport:
    pid = PID

    def __init__(self):
        self.written = b""
        self.closed = []
        self.lost = False
        self.exited = False
        self.signals = []

    def writeToChild(self, childFD, data):
        assert childFD == 0
        self.written += data

    def closeChildFD(self, childFD):
        self.closed.append(childFD)

    def loseConnection(self):
        self.lost = True

    def signalProcess(self, number):
        if self.exited:
            raise ProcessExitedAlready
        self.signals.append(number)


class Groups:
    """Stands for the system's process groups."""

    def __init__(self, members):
        self.members = members
        self.signals = []

    def killpg(self, group, number):
        assert group == PID
        if not self.members:
            raise ProcessLookupError
        if number:
            self.signals.append(number)


@pytest.fixture
def groups(monkeypatch):
    groups = Groups(members=True)
    monkeypatch.setattr(os, "killpg", groups.killpg)
    return groups


@pytest.fixture
def command(groups):
    command = RunningCommand(Clock(), b'{"id":7}')
    command.makeConnection(FakeTransport())
    return command


def fired(deferred):
    results = []
    deferred.addBoth(results.append)
    return results


def end(command, reason=None):
    reason = Failure(reason or ProcessDone(0))
    command.transport.exited = True
    command.processExited(reason)
    command.processEnded(reason)


def test_the_payload_goes_in_and_the_input_is_closed(command):
    assert command.transport.written == b'{"id":7}'
    assert command.transport.closed == [0]


def test_the_ending_tells_code_and_output(command):
    ended, gone = fired(command.ended), fired(command.gone)
    command.childDataReceived(1, b"out")
    command.childDataReceived(2, b"err")
    end(command, ProcessTerminated(3))
    assert ended == [ProcessEnd(3, None, b"out", b"err")]
    assert gone == [None]
    assert command._clock.getDelayedCalls() == []


def test_the_ending_tells_the_signal(command):
    ended = fired(command.ended)
    end(command, ProcessTerminated(signal=9))
    assert (ended[0].code, ended[0].signal) == (None, 9)


def test_descendants_that_hold_the_pipes_delay_the_ending_by_no_more_than_the_grace(command):
    ended, gone = fired(command.ended), fired(command.gone)
    command.processExited(Failure(ProcessDone(0)))
    command._clock.advance(PIPES_LINGER / 2)
    assert ended == []
    command.childDataReceived(1, b"late")
    command._clock.advance(PIPES_LINGER / 2)
    assert ended == [ProcessEnd(0, None, b"late", b"")]
    assert command.transport.lost
    command.processEnded(Failure(ProcessDone(0)))
    assert gone == [None]


def test_cancelling_terminates_the_group_and_kills_what_is_left(command, groups):
    ended, gone = fired(command.ended), fired(command.gone)
    command.ended.cancel()
    assert ended[0].check(CancelledError)
    assert groups.signals == [signal.SIGTERM]
    end(command, ProcessTerminated(signal=15))
    assert gone == [], "a member of the group is left"
    command._clock.advance(TERM_TO_KILL)
    assert groups.signals == [signal.SIGTERM, signal.SIGKILL]
    assert gone == [None]


def test_a_group_that_ends_on_sigterm_is_not_killed(command, groups):
    gone = fired(command.gone)
    fired(command.ended)
    command.ended.cancel()
    groups.members = False
    end(command, ProcessTerminated(signal=15))
    assert gone == [None]
    assert command._clock.getDelayedCalls() == []


def test_a_process_that_leads_no_group_yet_is_signalled_itself(command, groups):
    groups.members = False
    fired(command.ended)
    command.ended.cancel()
    assert command.transport.signals == [signal.SIGTERM]
    command.kill()
    assert command.transport.signals == [signal.SIGTERM, signal.SIGKILL]


def test_killing_leaves_the_ending_to_be_told(command, groups):
    ended = fired(command.ended)
    command.kill()
    assert groups.signals == [signal.SIGKILL]
    end(command, ProcessTerminated(signal=9))
    assert ended[0].signal == 9


def test_a_tail_keeps_the_end():
    tail = Tail()
    for number in range(10):
        tail.add(bytes([number]) * KEPT_BYTES)
    tail.add(b"the end")
    assert len(tail.value()) == KEPT_BYTES
    assert tail.value().endswith(b"\x09the end")


def test_a_short_tail_is_all_there_was():
    tail = Tail()
    tail.add(b"a")
    tail.add(b"b")
    assert tail.value() == b"ab"
