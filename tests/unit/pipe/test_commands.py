"""What parent and child say to each other."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from snqd.pipe import commands


def connected(channel: commands.Channel) -> StringTransport:
    transport = StringTransport()
    channel.makeConnection(transport)
    return transport


class Pair:
    """Two ends of a pipe: one asks, the other one takes commands."""

    def __init__(self, responders: commands.Responders) -> None:
        self.asker, self.taker = commands.Channel({}), commands.Channel(responders)
        self.to_taker, self.to_asker = connected(self.asker), connected(self.taker)

    def ask(self, command: type[commands.Command], **arguments: Any) -> Any:
        """What the answer is, a Failure for one that is refused; None while there is none."""
        answers: list[Any] = []
        self.asker.ask(command, **arguments).addBoth(answers.append)
        self.pump()
        return answers[0] if answers else None

    def pump(self) -> None:
        while self.to_taker.value() or self.to_asker.value():
            for wire, end in ((self.to_taker, self.taker), (self.to_asker, self.asker)):
                data = wire.value()
                wire.clear()
                end.dataReceived(data)


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_001, 1_000_000])
def test_values_of_any_size_arrive_whole(size: int) -> None:
    heard: list[Any] = []
    pair = Pair({commands.Heartbeat: lambda report, counters: heard.append((report, counters))})
    report = {"text": "ä" * size, "n": None}
    assert pair.ask(commands.Heartbeat, report=report, counters=[]) == {}
    assert heard == [(report, [])]


def test_a_function_gives_nothing_one_value_or_several() -> None:
    given: Deferred[int] = Deferred()
    pair = Pair(
        {
            commands.Wake: lambda: None,
            commands.Recover: lambda owner, suspects, cause: given,
            commands.Report: lambda: {"report": 1, "counters": 2},
        }
    )
    assert pair.ask(commands.Wake) == {}
    assert pair.ask(commands.Report) == {"report": 1, "counters": 2}
    answers: list[Any] = []
    pair.asker.ask(commands.Recover, owner="o", suspects=[], cause="c").addCallback(answers.append)
    pair.pump()
    assert answers == []
    given.callback(3)
    pair.pump()
    assert answers == [{"freed": 3}]


def broken() -> Any:
    raise KeyError("colour")


@pytest.mark.parametrize(
    "report",
    [broken, lambda: fail(KeyError("colour")), lambda: {"report": object(), "counters": 1}, lambda: 7, lambda: None],
)
def test_a_function_that_fails_is_logged_and_answered_and_the_pipes_stay_open(report: Any, logged: list[str]) -> None:
    pair = Pair({commands.Report: report, commands.Wake: lambda: None})
    assert pair.ask(commands.Report).check(commands.CommandFailed)
    assert "critical: command Report failed" in logged
    assert pair.ask(commands.Wake) == {}


def test_what_a_function_refuses_is_answered_with_its_words_and_not_logged(logged: list[str]) -> None:
    def wake() -> None:
        raise commands.CommandFailed("I am " + "very " * 1000)

    failure = Pair({commands.Wake: wake}).ask(commands.Wake)
    assert failure.check(commands.CommandFailed)
    assert failure.getErrorMessage().startswith("I am very")
    assert len(failure.getErrorMessage()) == commands.MOST_REASON_CHARS
    assert logged == []


def test_a_command_that_nobody_takes_is_refused_until_somebody_does() -> None:
    pair = Pair({})
    failure = pair.ask(commands.Wake)
    assert failure.check(commands.CommandFailed)
    assert failure.getErrorMessage() == "the process does not take Wake, or not yet"
    pair.taker.take({commands.Wake: lambda: None})
    assert pair.ask(commands.Wake) == {}


def test_a_failure_that_the_asker_does_not_handle_leaves_the_pipes_open() -> None:
    pair = Pair({commands.Wake: lambda: None})
    asked = pair.asker.ask(commands.Wake)
    asked.addCallback(lambda answer: 1 / 0)
    pair.pump()
    asked.addErrback(lambda failure: failure.trap(ZeroDivisionError) and None)
    assert not pair.to_taker.disconnecting
    assert pair.ask(commands.Wake) == {}


def test_the_end_of_the_other_process_fails_what_waits_and_is_told() -> None:
    lost: list[bool] = []
    channel = commands.Channel({}, lambda: lost.append(True))
    connected(channel)
    failures: list[Any] = []
    channel.ask(commands.Wake).addErrback(failures.append)
    channel.connectionLost(Failure(ConnectionDone()))
    assert failures[0].check(ConnectionDone)
    assert lost == [True]
