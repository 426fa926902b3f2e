"""ChildChannel: the child's end of the pipes, which hands on what the parent asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from snqd.config.sources import SourceChanges
from snqd.pipe import commands, exit_codes

if TYPE_CHECKING:
    from snqd.child.child import Child


class ChildChannel(commands.Channel):
    """The child's end of the pipes; translates only."""

    def __init__(self, child: Child) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._child = child

    @commands.Recover.responder
    def recover(self, owner: str, suspects: list[str], cause: str) -> Deferred[dict[str, Any]]:
        """Answer once it is durable."""
        return self._child.recover(owner, suspects, cause).addCallback(lambda freed: {"freed": freed})

    @commands.Report.responder
    def report(self) -> dict[str, Any]:
        """Answer what a heartbeat would carry."""
        return self._child.pulse.figures()

    @commands.Prepare.responder
    def prepare(self, changes: dict[str, Any], check: list[str]) -> Deferred[dict[str, Any]]:
        """Answer with what is wrong."""
        return self._child.reload.prepare(SourceChanges.from_json(changes), check)

    @commands.Commit.responder
    def commit(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.reload.commit()
        return {}

    @commands.Drop.responder
    def drop(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.reload.drop()
        return {}

    @commands.TakeOver.responder
    def take_over(self) -> dict[str, Any]:
        """Pass it on; what fails then is told as a boot failure."""
        self._child.take_over()
        return {}

    @commands.SetLogLevel.responder
    def set_log_level(self, namespace: str, level: str) -> dict[str, Any]:
        """Pass it on."""
        self._child.levels.set(namespace, level)
        return {}

    @commands.Wake.responder
    def wake(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.wake()
        return {}

    @commands.Stop.responder
    def stop(self) -> dict[str, Any]:
        """Pass it on."""
        self._child.leave(exit_codes.DONE)
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The parent is dead."""
        super().connectionLost(reason)
        self._child.orphaned()
