"""OperatorSignals: what a daemon does on SIGHUP and SIGUSR2."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service


class OperatorSignals(Service):
    """Calls a function in the reactor's turn when a signal comes.

    :param reactor: IReactorFromThreads.
    :param actions: by the signal's number.
    """

    def __init__(self, reactor: Any, actions: Mapping[int, Callable[[], Any]]) -> None:
        self._reactor = reactor
        self._actions = actions
        self._before: dict[int, Any] = {}

    def startService(self) -> None:
        """Hear them; in the main thread."""
        super().startService()  # type: ignore[no-untyped-call]
        for number in self._actions:
            self._before[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(self._actions[number])

    def stopService(self) -> None:
        """Let them be as they were."""
        super().stopService()  # type: ignore[no-untyped-call]
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
