"""What parent and child say to each other: AMP over two pipes, the child's file descriptors 3 (in) and 4 (out)."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure

from snqd.core.errors import SnqdError

CHILD_READS = 3
CHILD_WRITES = 4
CHUNK_BYTES = 65_000


class RecoverFailed(SnqdError):
    """The store could not free what a dead process held."""


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


class Ready(amp.Command):
    """Child to parent: all is up, take me into account."""

    arguments = [(b"version", amp.Unicode())]
    response = [(b"version", amp.Unicode())]


class BootFailed(amp.Command):
    """Child to parent: I can't start; I exit once this is answered."""

    arguments = [(b"message", Json()), (b"traceback", Json())]  # type: ignore[no-untyped-call]


class Heartbeat(amp.Command):
    """Child to parent, once a second: the report of its IoMaster, and what was counted since the last one."""

    arguments = [(b"report", Json()), (b"counters", Json())]  # type: ignore[no-untyped-call]


class Report(amp.Command):
    """Parent to child: send what a heartbeat carries, now."""

    response = [(b"report", Json()), (b"counters", Json())]  # type: ignore[no-untyped-call]


class Recover(amp.Command):
    """Parent to child: free what the dead process `owner` held; answered once the store made it durable."""

    arguments = [(b"owner", amp.Unicode()), (b"suspects", Json()), (b"cause", Json())]  # type: ignore[no-untyped-call]
    response = [(b"freed", amp.Integer())]
    errors = {RecoverFailed: b"RECOVER_FAILED"}


class Prepare(amp.Command):
    """Parent to child: make what a changed configuration needs, for `Commit` or `Drop`.

    `changes` are :class:`~snqd.config.sources.SourceChanges`; `check` are queues of other groups whose handlers only
    have to be importable. Answered with what is wrong, nothing if it can be.
    """

    arguments = [(b"changes", Json()), (b"check", Json())]  # type: ignore[no-untyped-call]
    response = [(b"problems", Json()), (b"traceback", Json())]  # type: ignore[no-untyped-call]


class Commit(amp.Command):
    """Parent to child: go over to what was prepared."""


class Drop(amp.Command):
    """Parent to child: forget what was prepared."""


class TakeOver(amp.Command):
    """Parent to child: the one before you is gone, start what you held back for it."""


class RefreshSites(amp.Command):
    """Child to parent: a job's site is not configured, look whether it is by now."""


class Heard(amp.Command):
    """Child to parent: a message came on the control channel, by `way`."""

    arguments = [(b"body", amp.String()), (b"way", amp.Unicode())]


class SetLogLevel(amp.Command):
    """Parent to child: log `namespace` from `level` on."""

    arguments = [(b"namespace", amp.Unicode()), (b"level", amp.Unicode())]


class Wake(amp.Command):
    """Parent to child: look for work now."""


class Stop(amp.Command):
    """Parent to child: quiet, drain, exit."""


class Channel(amp.AMP):
    """AMP without its log lines about pipes that come and go."""

    def makeConnection(self, transport: Any) -> None:
        """Begin to talk."""
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail what waits for an answer."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None

    def ask(self, command: type[amp.Command], **arguments: Any) -> Deferred[Any]:
        """Send a command; fires with the answer, fails if the other process ends before it."""
        asked: Deferred[Any] = self.callRemote(command, **arguments)  # type: ignore[no-untyped-call]
        return asked
