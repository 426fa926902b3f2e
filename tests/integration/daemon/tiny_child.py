"""A child with one small I/O manager in place of queues, steered by ``[app:tiny]``.

What it does is traced in state_dir. It keeps a crash ledger as queue managers do, with one job that runs for ever.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from snqd.child.child import main
from snqd.child.parts import Parent, Parts
from snqd.child.switch import Following, Prepared
from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.io.interface import Master
from snqd.io.io_manager import IoManager
from snqd.io.io_master import IoMaster
from snqd.pipe.child_spec import SOLO, ChildSpec
from snqd.pipe.commands import Recover, Responders, Wake
from snqd.pipe.crash_ledger import CrashLedger


class TinyManager(IoManager):
    """Claims to run one job."""

    def __init__(self, reactor: Any, settings: Settings, spec: ChildSpec) -> None:
        super().__init__()
        self._reactor = reactor
        self._spec = spec
        self._state_dir = settings.daemon.state_dir
        self._options = settings.apps.get("tiny", {})

    def trace(self, *words: object) -> None:
        with open(self._state_dir / "trace", "a") as trace:
            trace.write(" ".join(map(str, [self._spec.id, os.getpid(), *words])) + "\n")

    def start(self, master: Master) -> Deferred[Any]:
        if self._options.get("boot") == "fail" and not (self._state_dir / "repaired").exists():
            raise RuntimeError("the tiny manager has no heart")
        if self._options.get("boot") == "exit":
            os._exit(3)
        path = self._state_dir / "children" / f"{self._spec.incarnation}.ledger"
        self._ledger = CrashLedger(path, self._spec.incarnation, 1)
        if self._spec.role != SOLO:
            self._ledger.started("job-1")
        self.trace("started", self._spec.role)
        if self._options.get("then") == "shut down":
            self._reactor.callLater(0.2, master.leave, 100)
        return succeed(None)

    def wake(self) -> None:
        """As the option `then` wants it, hang."""
        self.trace("woken")
        if self._options.get("then") == "hang":
            signal.pause()

    def report(self) -> dict[str, Any]:
        return {"in_flight": 1, "shares": [["mail", "alpha", 1]]}

    def drain(self, timeout: float) -> Deferred[Any]:
        self.trace("draining", timeout)
        return deferLater(self._reactor, float(self._options.get("drain", "0")), lambda: None)

    def stop(self) -> Deferred[Any]:
        self._ledger.close()
        self.trace("stopped")
        return succeed(None)


class TinySettings:
    """Takes part in changes of the configuration: prepares as long as there is a file `hold` in state_dir."""

    def __init__(self, manager: TinyManager, state_dir: Path) -> None:
        self._manager = manager
        self._hold = state_dir / "hold"

    def prepare(self, settings: Settings) -> Prepared:
        self._manager.trace("preparing")
        while self._hold.exists():
            time.sleep(0.02)
        colour = settings.apps["tiny"].get("colour")
        return Following(lambda settings: self._manager.trace("colour", colour)).prepare(settings)


def build(reactor: Any, settings: Settings, spec: ChildSpec, parent: Parent) -> Parts:
    manager = TinyManager(reactor, settings, spec)
    counters = Counters()
    counters.of("mail", "alpha").handled += 7
    counters.settled += 7

    def recover(owner: str, suspects: list[str], cause: str) -> Deferred[int]:
        manager.trace("recovered", owner, ",".join(suspects), cause.replace(" ", "_"))
        return succeed(1)

    at_work: Responders = {Recover: recover, Wake: manager.wake}
    return Parts(IoMaster(reactor, [manager]), counters, at_work, [TinySettings(manager, settings.daemon.state_dir)])


if __name__ == "__main__":
    main(build)
