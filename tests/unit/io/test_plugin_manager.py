"""The I/O manager of an installed package, run within an IoMaster."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from snqd.io import IIoManager, IoContext, IoManager, Scope
from snqd.io.entry_points import ManagerFailed, factory_of
from snqd.io.io_master import IoMaster
from snqd.io.plugin_manager import PluginManager
from tests.unit.io.services import Desk


class Threads:
    """Those of a manager, as the test lets them end."""

    def __init__(self) -> None:
        self.idle: Deferred[None] = Deferred()
        self.closed = False

    def when_idle(self) -> Deferred[None]:
        return self.idle

    def close(self) -> None:
        self.closed = True


class Noted(IoManager):
    """Notes what happens to it."""

    poll_interval = 10.0

    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context
        self.notes: list[Any] = []
        self.raises: Exception | None = None

    def note(self, *what: Any) -> None:
        self.notes.append(what if len(what) > 1 else what[0])
        if self.raises is not None:
            raise self.raises

    async def start(self, master: Any) -> None:
        self.note("start")

    async def poll(self) -> bool:
        self.note("poll")
        return False

    def idle(self) -> None:
        self.note("idle")

    def reloaded(self, *sites: Any) -> None:
        self.note("reloaded", *sites)

    def quiet(self) -> None:
        self.note("quiet")

    async def drain(self, timeout: float) -> None:
        self.note("drain", timeout)

    async def stop(self) -> None:
        self.note("stop")


@implementer(IIoManager)
class NoService:
    """A manager that is no Twisted service, and derives from nothing."""

    name = "bare"
    scope = Scope.INSTANCE_PER_PROCESS
    poll_interval = None

    def __init__(self, context: IoContext) -> None:
        self.context = context

    def start(self, master: Any) -> None:
        self.context.report({"up": True})

    def poll(self) -> Any: ...
    def idle(self) -> Any: ...
    def reloaded(self, added: Any, changed: Any, removed: Any) -> Any: ...
    def quiet(self) -> Any: ...
    def drain(self, timeout: float) -> Any: ...
    def stop(self) -> Any: ...


class Stage:
    """An IoMaster with managers of one factory, and a neighbour that must not suffer."""

    def __init__(self, factory: Any, *sites: str | None) -> None:
        self.desk = Desk()
        self.threads: list[Threads] = []
        self.services = self.desk.services
        object.__setattr__(self.services, "make_threads", self._make_threads)
        self.managers = [factory_of("m", factory).manager(self.services, site) for site in sites or (None,)]
        self.neighbour = Noted(self.managers[0].context)
        self.clock = Clock()
        reports = self.services.reports.latest
        self.master = IoMaster(self.clock, [*self.managers, self.neighbour], reports=reports)

    def _make_threads(self, reactor: Any, name: str) -> Threads:
        self.threads.append(Threads())
        return self.threads[-1]

    @property
    def inner(self) -> Any:
        return self.managers[0].inner


def test_it_is_a_manager() -> None:
    assert verifyObject(IIoManager, Stage(Noted).managers[0])


def test_everything_is_passed_on() -> None:
    stage = Stage(Noted)
    stage.master.start()
    assert stage.inner.running
    stage.clock.advance(0)
    stage.clock.advance(1)
    stage.master.reloaded(["a"], [], [])
    stage.master.drain(5)
    stage.master.stop()
    assert not stage.inner.running
    assert stage.inner.notes == [
        "start",
        "poll",
        "idle",
        "poll",
        ("reloaded", ["a"], [], []),
        "quiet",
        ("drain", 5),
        "stop",
    ]


def test_a_method_called_report_is_the_managers_own() -> None:
    class Named(Noted):
        def report(self) -> Any:
            raise AssertionError("nobody should call it")

    stage = Stage(Named)
    stage.master.start()
    assert stage.master.report()["in_flight"] == 0
    assert not hasattr(stage.managers[0], "report")


def test_the_drain_waits_for_threads_and_the_end_closes_them() -> None:
    stage = Stage(Noted)
    stage.master.start()
    drained = stage.master.drain(5)
    assert not drained.called
    stage.threads[0].idle.callback(None)
    assert drained.called
    assert not stage.threads[0].closed
    stage.master.stop()
    assert stage.threads[0].closed


def test_a_failing_start_leaves_nothing_and_says_whose_it_was() -> None:
    stage = Stage(Noted)
    stage.inner.raises = OSError("no network")
    stage.managers[0].context.report({"state": "starting"})
    failures: list[Any] = []
    stage.master.start().addErrback(failures.append)
    assert failures[0].check(ManagerFailed)
    assert failures[0].getErrorMessage() == "I/O manager m failed to start: no network"
    assert stage.threads[0].closed
    assert stage.master.report()["managers"] == {}


def test_one_that_raises_everywhere_ends_no_other() -> None:
    stage = Stage(Noted)
    stage.master.start()
    stage.inner.raises = RuntimeError("broken")
    stage.clock.advance(0)
    stage.clock.advance(1)
    stage.master.reloaded([], [], [])
    drained = stage.master.drain(5)
    stopped = stage.master.stop()
    assert drained.called
    assert stopped.called
    assert stage.neighbour.notes == stage.inner.notes
    assert stage.threads[0].closed


def test_managers_of_several_sites_run_beside_each_other_and_report_for_themselves() -> None:
    stage = Stage(Noted, "alpha", "beta")
    stage.master.start()
    assert [manager.inner.notes for manager in stage.managers] == [["start"], ["start"]]
    for manager in stage.managers:
        manager.context.report({"site": manager.context.site})
    assert stage.master.report()["managers"] == {"m:alpha": {"site": "alpha"}, "m:beta": {"site": "beta"}}
    stage.threads[0].idle.callback(None)
    stage.master.detach(stage.managers[0], 5)
    assert stage.master.report()["managers"] == {"m:beta": {"site": "beta"}}


def test_one_that_is_no_service_runs_too() -> None:
    stage = Stage(NoService)
    stage.master.start()
    assert stage.master.report()["managers"] == {"m": {"up": True}}
    stage.clock.pump([1] * 3)
    assert stage.managers[0].poll_interval == 0


@pytest.mark.parametrize("scope", list(Scope))
def test_its_scope_is_the_factorys(scope: Scope) -> None:
    def make(context: IoContext) -> IoManager:
        return IoManager()

    make.scope = scope  # type: ignore[attr-defined]
    manager: PluginManager = factory_of("m", make).manager(Desk().services)
    assert manager.scope is scope
