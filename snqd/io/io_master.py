"""IoMaster: runs the I/O managers of one child, from their start to their drain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, DeferredList, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from snqd.io.entry_points import ManagerFailed
from snqd.io.interface import IIoManager
from snqd.io.polling import PollLoop
from snqd.io.states import StateListener, StateLog, make_states
from snqd.pipe.periodic import PeriodicCall

IDLE_EVERY = 1.0
DRAIN_GRACE = 2.0


def _none(manager: IIoManager) -> bool:
    return False


class IoMaster(MultiService):
    """Starts managers in order, polls those that want it, calls `idle` in quiet seconds, drains and stops them in
    reverse order.

    :param managers: in the order of their start.
    :param listener: told of changes of state.
    :param leave: ends the process in good order, given an exit code.
    :param reports: what managers of installed packages show in the status, by their names.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        managers: Sequence[IIoManager],
        listener: StateListener = lambda state, substate: None,
        leave: Callable[[int], None] = lambda exit_code: None,
        reports: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._managers = list(managers)
        self._reports = reports
        self._log_of_states = StateLog(listener)
        self._states = make_states(self._log_of_states)
        self._starting: dict[IIoManager, Deferred[Any]] = {}
        self._started: list[IIoManager] = []
        self._polls: list[PollLoop] = []
        self._busy = False
        self._leaving = False
        self._held: Callable[[IIoManager], bool] = _none
        self._idle_calls = PeriodicCall(clock, self._idle)
        self.on_leave = leave

    @property
    def state(self) -> str:
        """init, listening, queue, poll, idle, sleep or shutdown."""
        return self._log_of_states.state

    def start(self) -> Deferred[None]:
        """Start the service and then the managers, one after the other.

        :returns: fires when all are up; fails with ManagerFailed, naming the manager,
            after those before it are stopped.
        """
        self.startService()  # type: ignore[no-untyped-call]
        return self._start_managers()

    @inlineCallbacks
    def _start_managers(self) -> Any:
        try:
            for manager in self._managers:
                if not self._held(manager):
                    yield self._start_one(manager)
        except ManagerFailed:
            yield self.stop()
            raise
        self._states.listen()
        for manager in self._started:
            self._start_poll(manager)
        self._idle_calls.start(IDLE_EVERY, now=False)

    @inlineCallbacks
    def _start_one(self, manager: IIoManager) -> Any:
        try:
            self._attach(manager)
            starting = self._starting[manager] = maybeDeferred(manager.start, self)
            yield starting
            self._started.append(manager)
        except CancelledError:  # by `detach`
            yield self._release(manager)
        except Exception as error:
            yield self._release(manager)
            raise ManagerFailed(f"I/O manager {manager.name} failed to start: {error or repr(error)}") from error
        finally:
            self._starting.pop(manager, None)

    @inlineCallbacks
    def attach(self, manager: IIoManager) -> Any:
        """Start one more manager, as :meth:`start` does; fails with ManagerFailed. Does nothing while it drains.

        One that would be held back now is left for :meth:`start_held`.
        """
        if self._held(manager):
            self._managers.append(manager)
        elif not self._leaving:
            yield self._start_one(manager)
            if manager in self._started:
                self._start_poll(manager)

    @inlineCallbacks
    def detach(self, manager: IIoManager, timeout: float) -> Any:
        """Drain a manager within `timeout` seconds, and stop it; the others go on. One that is still starting has its
        start cancelled, and one that is held back never starts.
        """
        self._managers = [each for each in self._managers if each is not manager]
        if manager in self._starting:
            self._starting[manager].cancel()
        if manager not in self._started:
            return
        self._started.remove(manager)
        self._each("quiet", [manager])
        for loop in [loop for loop in self._polls if loop.manager is manager]:
            self._polls.remove(loop)
            yield maybeDeferred(self.removeService, loop)
        yield maybeDeferred(manager.drain, timeout)
        yield maybeDeferred(manager.stop)
        yield self._release(manager)

    def hold(self, held: Callable[[IIoManager], bool]) -> None:
        """Leave some managers for :meth:`start_held`; called before :meth:`start`."""
        self._held = held

    @inlineCallbacks
    def start_held(self) -> Any:
        """Start the managers that were held back; fails with ManagerFailed."""
        held, self._held = self._held, _none
        for manager in list(self._managers):
            if held(manager) and manager in self._managers:  # it may have been detached meanwhile
                yield self.attach(manager)

    def _attach(self, manager: IIoManager) -> None:
        service: Any = manager
        if IService.providedBy(service):
            service.setServiceParent(self)

    def _release(self, manager: IIoManager) -> Deferred[Any]:
        service: Any = manager
        attached = IService.providedBy(service) and service.parent is self
        return maybeDeferred(service.disownServiceParent) if attached else succeed(None)

    def _start_poll(self, manager: IIoManager) -> None:
        if manager.poll_interval:
            loop = PollLoop(self._clock, manager, self._states.poll, self.working)
            self._polls.append(loop)
            self.addService(loop)  # type: ignore[no-untyped-call]

    def working(self, substate: str = "") -> None:
        """A manager has work: no idle calls for now."""
        self._busy = True
        if (self._log_of_states.state, self._log_of_states.substate) != ("queue", substate):
            self._states.work(substate)

    def leave(self, exit_code: int) -> None:
        """A manager asks for the end of this process."""
        self.on_leave(exit_code)

    def _idle(self) -> None:
        shares = self.report()["shares"]
        if shares:
            self._states.work(shares[0][0])
        if shares or self._busy:
            self._busy = False
            return
        if self.state not in ("idle", "sleep"):
            self._states.idle()
        self._each("idle", self._started)
        self._states.sleep()

    def reloaded(self, added: Sequence[str], changed: Sequence[str], removed: Sequence[str]) -> None:
        """A changed configuration holds; see :meth:`IIoManager.reloaded`."""
        self._each("reloaded", [*self._started, *self._starting], added, changed, removed)

    def report(self) -> dict[str, Any]:
        """What the managers report, added up; see :class:`~snqd.io.interface.Reporting`. Also the `state`, and
        `managers`: what those of installed packages show, by their names.
        """
        total: dict[str, Any] = {
            "state": self.state,
            "in_flight": 0,
            "claimed": Counter(),
            "unsettled": Counter(),
            "solo_waiting": False,
            "trouble": None,
            "holder": None,
            "shares": [],
            "managers": dict(self._reports),
        }
        for manager in [*self._started, *self._starting]:  # one may wait for its store
            total |= self._with_figures(total, manager)
        return total

    def _with_figures(self, total: Mapping[str, Any], manager: IIoManager) -> Mapping[str, Any]:
        report: Callable[[], Mapping[str, Any]] | None = getattr(manager, "report", None)
        if report is None:
            return {}
        try:
            figures = report()
            return {
                "in_flight": total["in_flight"] + figures.get("in_flight", 0),
                "claimed": total["claimed"] + Counter(figures.get("claimed", {})),
                "unsettled": total["unsettled"] + Counter(figures.get("unsettled", {})),
                "solo_waiting": total["solo_waiting"] or bool(figures.get("solo_waiting")),
                "trouble": total["trouble"] or figures.get("trouble"),
                "holder": figures.get("holder", total["holder"]),
                "shares": [*total["shares"], *figures.get("shares", ())],
            }
        except Exception:  # noqa: BLE001 - without figures the heartbeat goes on
            self.log.failure("I/O manager {name}: report failed", name=manager.name)
            return {}

    def quiet(self) -> None:
        """Claim and poll nothing new."""
        self._leaving = True
        self._states.shut_down()
        if self._idle_calls.running:
            self._idle_calls.stop()
        self._each("quiet", self._started)

    @inlineCallbacks
    def drain(self, timeout: float) -> Any:
        """Quiet, then let the managers finish within `timeout` seconds; one that takes longer is left behind,
        and logged.
        """
        self.quiet()
        polls, self._polls = self._polls, []
        under_way = [(f"poll of {loop.manager.name}", maybeDeferred(self.removeService, loop)) for loop in polls]
        under_way += [(f"drain of {each.name}", maybeDeferred(each.drain, timeout)) for each in self._started]
        limit = timeout + DRAIN_GRACE
        yield DeferredList([self._logged(what, done.addTimeout(limit, self._clock)) for what, done in under_way])

    @inlineCallbacks
    def stop(self) -> Any:
        """Stop the managers, the last started first, and the service."""
        self._states.shut_down()
        for manager in reversed(self._started):
            yield self._logged(f"stop of {manager.name}", maybeDeferred(manager.stop))
        self._started = []
        yield self.stopService()

    def stopService(self) -> Deferred[Any]:
        """Also end the idle calls."""
        if self._idle_calls.running:
            self._idle_calls.stop()
        stopped: Deferred[Any] = super().stopService() or succeed(None)  # type: ignore[no-untyped-call]
        return stopped

    def _logged(self, what: str, done: Deferred[Any]) -> Deferred[Any]:
        return done.addErrback(lambda failure: self.log.failure("I/O manager: {what} failed", failure, what=what))

    def _each(self, verb: str, managers: Iterable[IIoManager], *args: Any) -> None:
        for manager in managers:
            try:
                getattr(manager, verb)(*args)
            except Exception:  # noqa: BLE001 - one manager must not keep the others from their turn
                self.log.failure("I/O manager {name}: {verb} failed", name=manager.name, verb=verb)
