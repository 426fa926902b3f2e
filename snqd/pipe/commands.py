"""What parent and child say to each other: AMP over two pipes, the child's file descriptors 3 (in) and 4 (out)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from snqd.core.errors import SnqdError

CHILD_READS = 3
CHILD_WRITES = 4
CHUNK_BYTES = 65_000
MOST_REASON_CHARS = 1000
FAILED = b"FAILED"


class CommandFailed(SnqdError):
    """The other process did not do what it was asked to."""


class Json(amp.Argument):
    """A JSON value of any size: AMP's values end at 65,535 bytes, so it goes in numbered pieces of the same box."""

    def toBox(self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: Any) -> None:
        """Cut the value into pieces."""
        data = json.dumps(objects[name.decode()]).encode()
        for number, at in enumerate(range(0, len(data), CHUNK_BYTES)):
            strings[b"%s.%d" % (name, number)] = data[at : at + CHUNK_BYTES]

    def fromBox(self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: Any) -> None:
        """Put the pieces together."""
        pieces: list[bytes] = []
        while (piece := strings.pop(b"%s.%d" % (name, len(pieces)), None)) is not None:
            pieces.append(piece)
        objects[name.decode()] = json.loads(b"".join(pieces))


class Command(amp.Command):
    """What all commands have in common: one that can't be done is answered with the reason.

    :cvar loads: whether a child may import code for it, and so give no heartbeat until it answers.
    """

    errors = {CommandFailed: FAILED}
    loads = False


class Ready(Command):
    """Child to parent: all is up, take me into account; `digest` is that of the configuration that I have."""

    arguments = [(b"version", amp.Unicode()), (b"digest", amp.Unicode())]
    response = [(b"version", amp.Unicode())]


class BootFailed(Command):
    """Child to parent: I can't start; I exit once this is answered."""

    arguments = [(b"message", Json()), (b"traceback", Json())]  # type: ignore[no-untyped-call]


class Heartbeat(Command):
    """Child to parent, once a second: the report of its IoMaster, and what was counted since the last one."""

    arguments = [(b"report", Json()), (b"counters", Json())]  # type: ignore[no-untyped-call]


class Report(Command):
    """Parent to child: send what a heartbeat carries, now."""

    response = [(b"report", Json()), (b"counters", Json())]  # type: ignore[no-untyped-call]


class Recover(Command):
    """Parent to child: free what the dead process `owner` held; answered once the store made it durable."""

    arguments = [(b"owner", amp.Unicode()), (b"suspects", Json()), (b"cause", Json())]  # type: ignore[no-untyped-call]
    response = [(b"freed", amp.Integer())]


class Prepare(Command):
    """Parent to child: make what a changed configuration needs, for `Commit` or `Drop`.

    `changes` are :class:`~snqd.config.sources.SourceChanges` from the one that the child has; `digest` is that of the
    other one; `check` are queues of other groups whose handlers only have to be importable. Answered with what is
    wrong, nothing if it can be.
    """

    loads = True
    arguments = [
        (b"changes", Json()),  # type: ignore[no-untyped-call]
        (b"digest", amp.Unicode()),
        (b"check", Json()),  # type: ignore[no-untyped-call]
    ]
    response = [(b"problems", Json()), (b"traceback", Json())]  # type: ignore[no-untyped-call]


class Commit(Command):
    """Parent to child: go over to what was prepared, which is the configuration of that digest.

    Answered with the digest of the configuration that the child then has.
    """

    loads = True
    arguments = [(b"digest", amp.Unicode())]
    response = [(b"digest", amp.Unicode())]


class Drop(Command):
    """Parent to child: forget what was prepared."""


class TakeOver(Command):
    """Parent to child: the one before you is gone, start what you held back for it."""

    loads = True


class RefreshSites(Command):
    """Child to parent: a job's site is not configured, look whether it is by now."""


class Heard(Command):
    """Child to parent: a message came on the control channel, by `way`."""

    arguments = [(b"body", amp.String()), (b"way", amp.Unicode())]


class SetLogLevel(Command):
    """Parent to child: log `namespace` from `level` on."""

    arguments = [(b"namespace", amp.Unicode()), (b"level", amp.Unicode())]


class Wake(Command):
    """Parent to child: look for work now."""


class Stop(Command):
    """Parent to child: quiet, drain, exit."""


Responders = Mapping[type[Command], Callable[..., Any]]
"""By command the function that does it. It gets the command's arguments by their names, and gives, at once or as a
Deferred, what the command is answered with: None for nothing, one value, or a dict of several."""


class Channel(amp.AMP):
    """One end of the pipes: finds the function for each command that comes, and translates.

    Whatever a function raises is logged here and answered with CommandFailed: AMP would close the pipes for it.

    :param responders: the commands that this end takes from the beginning.
    :param lost: called when the other process has gone.
    """

    log = Logger()

    def __init__(self, responders: Responders, lost: Callable[[], Any] = lambda: None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._lost = lost
        self._responders: dict[bytes, tuple[type[Command], Callable[..., Any]]] = {}
        self.take(responders)

    def take(self, responders: Responders) -> None:
        """Take these commands too from now on."""
        self._responders |= {command.commandName: (command, respond) for command, respond in responders.items()}

    def makeConnection(self, transport: Any) -> None:
        """Begin to talk, without AMP's line in the log."""
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail what waits for an answer."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None
        self._lost()

    def ask(self, command: type[Command], **arguments: Any) -> Deferred[Any]:
        """Send a command; fires with the answer, fails with CommandFailed, or if the other process ends before it."""
        answered: Deferred[Any] = Deferred()
        # Apart from AMP's own Deferred: for a failure that nobody handled there, AMP closes the pipes.
        self.callRemote(command, **arguments).chainDeferred(answered)  # type: ignore[no-untyped-call]
        return answered

    def locateResponder(self, name: bytes) -> Callable[[amp.Box], Deferred[amp.Box]]:
        """What turns the box of a command into that of its answer."""
        return lambda box: maybeDeferred(self._respond, name, box).addErrback(self._refuse, name)

    def _respond(self, name: bytes, box: amp.Box) -> Deferred[amp.Box]:
        if name not in self._responders:
            raise CommandFailed(f"the process does not take {name.decode()}, or not yet")
        command, respond = self._responders[name]
        arguments: dict[str, Any] = command.parseArguments(box, self)  # type: ignore[no-untyped-call]
        done: Deferred[Any] = maybeDeferred(respond, **arguments)
        return done.addCallback(partial(self._answer, command))

    def _answer(self, command: type[Command], result: Any) -> Any:
        return command.makeResponse(_by_name(command, result), self)  # type: ignore[no-untyped-call]

    def _refuse(self, failure: Failure, name: bytes) -> Any:
        if failure.check(CommandFailed) is None:
            self.log.failure("command {command} failed", failure, command=name.decode())
        reason = (failure.getErrorMessage() or repr(failure.value))[:MOST_REASON_CHARS]
        raise amp.RemoteAmpError(FAILED, reason, fatal=False, local=failure)


def _by_name(command: type[Command], result: Any) -> dict[str, Any]:
    if result is None or isinstance(result, dict):
        return result or {}
    ((name, _),) = command.response
    return {name.decode(): result}
