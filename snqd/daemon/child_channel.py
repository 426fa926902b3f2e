"""ChildChannel: the child's end of the pipes, which hands on what the parent asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from snqd.config.sources import SourceChanges
from snqd.daemon import exit_codes, ipc

if TYPE_CHECKING:
    from snqd.daemon.child import Child


class ChildChannel(ipc.Channel):
    """The child's end of the pipes; translates only."""

    def __init__(self, child: Child) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._child = child

    @ipc.Recover.responder
    def recover(self, owner: str, suspects: list[str], cause: str) -> Deferred[dict[str, Any]]:
        """Answer once it is durable."""
        return self._child.recover(owner, suspects, cause).addCallback(lambda freed: {"freed": freed})

    @ipc.Report.responder
    def report(self) -> dict[str, Any]:
        """Answer what a heartbeat would carry."""
        return self._child.pulse.figures()

    @ipc.Prepare.responder
    def prepare(self, changes: dict[str, Any], check: list[str]) -> Deferred[dict[str, Any]]:
        """Answer with what is wrong."""
        return self._child.reload.prepare(SourceChanges.from_json(changes), check)

    @ipc.Commit.responder
    def commit(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.reload.commit()
        return {}

    @ipc.Drop.responder
    def drop(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.reload.drop()
        return {}

    @ipc.TakeOver.responder
    def take_over(self) -> dict[str, Any]:
        """Pass it on; what fails then is told as a boot failure."""
        self._child.take_over()
        return {}

    @ipc.SetLogLevel.responder
    def set_log_level(self, namespace: str, level: str) -> dict[str, Any]:
        """Pass it on."""
        self._child.levels.set(namespace, level)
        return {}

    @ipc.Wake.responder
    def wake(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.wake()
        return {}

    @ipc.Stop.responder
    def stop(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.leave(exit_codes.DONE)
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The parent is dead."""
        super().connectionLost(reason)
        self._child.orphaned()
