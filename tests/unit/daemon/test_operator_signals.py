"""SIGHUP and SIGUSR2."""

from __future__ import annotations

import signal
from typing import Any

from snqd.daemon.operator_signals import OperatorSignals


class Reactor:
    """Keeps what is called from a signal handler for the reactor's turn."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def callFromThread(self, call: Any) -> None:
        self.calls.append(call)


def test_a_signal_calls_its_action_in_the_reactors_turn_until_the_end() -> None:
    heard: list[str] = []
    before: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, frame: before.append(number))
    reactor = Reactor()
    signals = OperatorSignals(reactor, {signal.SIGUSR2: lambda: heard.append("restart")})
    signals.startService()
    try:
        signal.raise_signal(signal.SIGUSR2)
        assert heard == []
        (call,) = reactor.calls
        call()
        assert heard == ["restart"]
    finally:
        signals.stopService()
    signal.raise_signal(signal.SIGUSR2)
    assert before == [signal.SIGUSR2]
    assert len(reactor.calls) == 1
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
