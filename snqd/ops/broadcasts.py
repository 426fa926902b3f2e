"""Broadcasts: the daemon's side of commands that reach every daemon by way of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.config.control_key import read_control_key
from snqd.config.settings import QueueSettings
from snqd.core.clocks import Monotonic, monotonic
from snqd.core.errors import ConfigError, SnqdError
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.ops.control_gate import ControlGate, Trust
from snqd.ops.control_server import Command
from snqd.ops.update_commands import UpdateCommands
from snqd.wire.control_message import BadControlMessage, ControlMessage

LINES = 10
PERIOD = 60.0
"""So many refusals are logged in so many seconds."""


class LineLimit:
    """Lets through so many lines in a period.

    :param clock: a steady one.
    """

    def __init__(self, clock: Callable[[], Monotonic], lines: int = LINES, period: float = PERIOD) -> None:
        self._clock = clock
        self._lines = lines
        self._period = period
        self._since = clock()
        self._number = 0

    def admits(self) -> int | None:
        """Whether one more line is let through: how many were not in the period before it; None if it is not."""
        left_out = 0
        if self._clock() - self._since >= self._period:
            left_out = max(self._number - self._lines, 0)
            self._since, self._number = self._clock(), 0
        self._number += 1
        return left_out if self._number <= self._lines else None


class Broadcasts:
    """Takes what children hear on the control channel, does what may be obeyed, and logs the rest."""

    log = Logger()

    def __init__(
        self,
        daemon: QueueDaemon,
        changes: UpdateCommands,
        gate: ControlGate | None = None,
        monotonic: Callable[[], Monotonic] = monotonic,
    ) -> None:
        self._daemon = daemon
        self._functions: dict[str, Callable[[ControlMessage], Any]] = {
            "update": lambda message: changes.update({} if message.site is None else {"site": message.site}),
            "restart": lambda message: changes.restart({}),
            "stop": lambda message: daemon.shut_down(f"{message.sender} told all daemons to stop"),
        }
        self._gate = gate or ControlGate()
        self._refusals = LineLimit(monotonic)

    def commands(self) -> dict[str, Command]:
        """For the control socket: `expect`, the `id` of a message whose sender asks this daemon by itself."""
        return {"expect": self._expect}

    def _expect(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._gate.expect(str(request.get("id")))
        return {"expected": True}

    def heard(self, body: bytes, listener: str) -> None:
        """A listener in a child has heard `body`."""
        try:
            message = self._gate.hear(body, listener, trust_of(self._daemon.settings.queue))
        except (BadControlMessage, ConfigError) as error:
            self._refuse(error)
        else:
            if message is not None:
                self._obey(message)

    def _refuse(self, error: SnqdError) -> None:
        left_out = self._refusals.admits()
        if left_out is not None:
            more = f" ({left_out} more were ignored since the last such line)" if left_out else ""
            self.log.warn("a message on the control channel is ignored: {error}{more}", error=error, more=more)

    def _obey(self, message: ControlMessage) -> None:
        self.log.info(
            "{sender} told all daemons: {command}",
            sender=message.sender,
            command=f"{message.command} {message.site or ''}".strip(),
        )
        maybeDeferred(self._functions[message.command], message).addErrback(self._not_done, message)

    def _not_done(self, failure: Failure, message: ControlMessage) -> None:
        if failure.check(SnqdError) is None:
            self.log.failure("a command to all daemons broke", failure)
        else:
            self.log.warn("{command} was not done: {error}", command=message.command, error=failure.value)


def trust_of(queue: QueueSettings) -> Trust:
    """Whom to believe by the configuration.

    :raises ConfigError: if the key can't be read.
    """
    key = read_control_key(queue.control_key_file) if queue.control_key_file is not None else None
    return Trust(key, queue.control_unsigned)
