"""ChildSlot: one place for a child within a group, filled again whenever its child ends."""

from __future__ import annotations

from collections import deque
from signal import SIGABRT, SIGKILL
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from snqd.daemon.child_process import ChildEnd, ChildProcess, silent_for
from snqd.daemon.launcher import Launcher
from snqd.daemon.restart_policy import Life, RestartPolicy
from snqd.daemon.slot_states import make_slot_states
from snqd.pipe import commands, exit_codes
from snqd.pipe.child_spec import SOLO, child_id

ABORT_GRACE = 5.0
"""Seconds that a hanging child has to write its tracebacks."""
STOP_GRACE = 5.0
"""Seconds beyond drain_timeout after which a child that was asked to leave is killed."""

MOST_GONE = 8
"""Dead children of which the next one is told: one that could not boot has taken nothing from those before it."""


class SlotOwner(Protocol):
    """The group that a place belongs to."""

    def slot_ready(self, slot: ChildSlot, child: ChildProcess) -> None:
        """Its child is up."""

    def slot_reported(self, slot: ChildSlot, child: ChildProcess) -> None:
        """Its child was heard of."""

    def slot_at_work(self, child: ChildProcess) -> None:
        """Its child, which was up, waits no more."""

    def slot_ended(self, slot: ChildSlot, child: ChildProcess, ending: ChildEnd) -> int:
        """Its child is gone; returns how many jobs were running in it."""

    def slowest(self, slot: ChildSlot) -> bool:
        """Whether the next start waits as long as any."""


class ChildSlot:
    """Keeps one child running, or for the solo role: only while it is needed.

    :ivar n: number within the group; 0 for the solo child.
    :ivar state: resting, waiting, booting, up, killing, leaving or gone.
    :ivar error: why the last child could not boot or how it died, empty after one that came up.
    :ivar standby: whether its children wait for :meth:`take_over` before they start what may run only once.
    :ivar boot_failed: whether the last child said, or showed, that it can't start.
    """

    log = Logger()

    def __init__(
        self, launcher: Launcher, group: str, n: int, role: str, policy: RestartPolicy, owner: SlotOwner
    ) -> None:
        self._launcher = launcher
        self._group = group
        self._policy = policy
        self._owner = owner
        self._needed = role != SOLO
        self._timer: IDelayedCall | None = None
        self._delay = 0.0
        self._drain_timeout = 0.0
        self._finished: Deferred[None] = Deferred()
        self.n = n
        self.role = role
        self.id = child_id(launcher.daemon_id, group, n)
        self.child: ChildProcess | None = None
        self.state = "resting"
        self.restarts = -1
        self.error = ""
        self.boot_failed = False
        self.standby = False
        self._boot_error = ""
        self._gone: deque[str] = deque(maxlen=MOST_GONE)
        self._states = make_slot_states(self)

    def start(self) -> None:
        """Start the first child."""
        self._states.start()

    def start_in_turn(self) -> None:
        """Start the first child when the turn of this place has come."""
        self._delay = self._policy.first_delay(self.n)
        if self._delay:
            self._states.put_off()
        else:
            self._states.start()

    def need(self) -> None:
        """There is work for the solo child."""
        if self.state in ("resting", "waiting"):
            self._needed = True
        if self.state == "resting":
            self._states.start()

    def stop(self, drain_timeout: float) -> Deferred[None]:
        """Let the child drain and exit, within `drain_timeout` seconds and a little more; fires when it is gone."""
        self._drain_timeout = drain_timeout
        self._states.stop()
        return self._finished

    def hang(self, silence: float) -> None:
        """The child was silent for `silence` seconds: end it."""
        if self.child is not None and self.state in ("booting", "up"):
            self.log.error(
                "child {id} (pid {pid}) {silence}: sent SIGABRT for its tracebacks, SIGKILL follows in {grace} s; "
                "what it held comes back",
                id=self.id,
                pid=self.child.pid,
                silence=silent_for(silence, self.child.ready_at is not None),
                grace=ABORT_GRACE,
            )
            self.child.silence = silence
            self._states.hang()

    def spawn(self) -> None:
        """Start a process."""
        self.restarts += 1
        self._boot_error = ""
        self._needed = self.role != SOLO
        try:
            self.child = self._launcher.launch(self._group, self.n, self.role, self, self.standby, self._gone)
        except OSError as error:
            self.child = None
            self.error = f"no process can be made: {error.strerror}"
            self.log.error("child {id} can't be started: {error}", id=self.id, error=self.error)
            self._delay = self._policy.delay_after(Life(None))
            self._states.ended()
        else:
            self.log.info("child {id} started as pid {pid}", id=self.id, pid=self.child.pid)

    def schedule(self) -> None:
        """Set the time of the next start."""
        self._timer = self._launcher.reactor.callLater(self._delay, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._needed:
            self._states.start()
        else:
            self._states.rest()

    def cancel(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def kill(self) -> None:
        """SIGABRT, then SIGKILL."""
        self._signal(SIGABRT)
        self._timer = self._launcher.reactor.callLater(ABORT_GRACE, self._kill_now)

    def ask_to_leave(self) -> None:
        """Ask the child to drain and exit, and kill it at the deadline."""
        self.cancel()
        if self.child is not None:
            self.child.stop()
        self._timer = self._launcher.reactor.callLater(self._drain_timeout + STOP_GRACE, self._kill_late)

    def _kill_late(self) -> None:
        self.log.warn("child {id} did not leave in time: sent SIGKILL; what it held comes back", id=self.id)
        self._kill_now()

    def _kill_now(self) -> None:
        self._timer = None
        self._signal(SIGKILL)

    def _signal(self, number: int) -> None:
        if self.child is not None:
            self.child.signal(number)

    def finish(self) -> None:
        """Nothing is left here."""
        self._finished.callback(None)

    def child_ready(self, child: ChildProcess) -> None:
        """The child is up."""
        self.error = ""
        self.boot_failed = False
        self._states.ready()
        self.log.info("child {id} (pid {pid}) is ready", id=self.id, pid=child.pid)
        if child.spec.standby and not self.standby:  # its time came while it booted
            child.tell(commands.TakeOver)
        self._owner.slot_ready(self, child)

    def child_boot_failed(self, child: ChildProcess, message: str, traceback: str) -> None:
        """The child can't start."""
        self._boot_error = self.error = message
        self.log.error(
            "child {id} (pid {pid}) can't start: {message}\n{traceback}",
            id=self.id,
            pid=child.pid,
            message=message,
            traceback=traceback,
        )

    def take_over(self) -> None:
        """The child that was here before is gone: let the present one, and those to come, start everything."""
        self.standby = False
        if self.child is not None and self.state == "up":
            self.child.tell(commands.TakeOver)  # a failure is told as a boot failure

    def set_pace(self, spawndelay: float, max_delay: float) -> None:
        """Other waits before the next start, in seconds."""
        self._policy.set_pace(spawndelay, max_delay)

    def retry(self) -> None:
        """If a child is to be started later, start it now."""
        if self.state == "waiting" and self._needed:
            self._states.start()

    def child_reported(self, child: ChildProcess) -> None:
        """The child was heard of."""
        self._owner.slot_reported(self, child)

    def child_at_work(self, child: ChildProcess) -> None:
        """The child waits no more."""
        if self.state == "up":
            self._owner.slot_at_work(child)

    def child_ended(self, child: ChildProcess, ending: ChildEnd) -> None:
        """The child is gone: note how, let what it held be recovered, and set the time of the next."""
        self.cancel()
        self._note_ending(child, ending)
        self.child = None
        self._gone.append(child.spec.incarnation)
        suspects = self._owner.slot_ended(self, child, ending)
        life = child.life(ending)
        if self.role == SOLO and suspects:
            # Its death settled an attempt of the job that killed it, which is what it was made for.
            life = Life(life.ready_for, life.settled + suspects, life.exit_code)
        self._delay = self._policy.delay_after(life)
        if self._owner.slowest(self):
            self._delay = max(self._delay, self._policy.max_delay)
        self._states.ended()

    def _note_ending(self, child: ChildProcess, ending: ChildEnd) -> None:
        was_ready = child.ready_at is not None
        never_up = not was_ready and bool(ending.silence)
        silent_failure = not was_ready and bool(ending.exit_code) and self.state == "booting"
        self.boot_failed = bool(self._boot_error) or silent_failure or never_up
        clean = self.state == "leaving" or (was_ready and ending.exit_code in exit_codes.CLEAN)
        if self.boot_failed and not never_up:
            self.error = self._boot_error or child.log.last or str(ending)
        else:
            self.error = "" if clean else str(ending)
        what = "could not boot and " if self.boot_failed and not never_up else ""
        if clean:
            self.log.info("child {id} {what}{ending}", id=self.id, what=what, ending=str(ending))
        else:
            self.log.error("child {id} {what}{ending}", id=self.id, what=what, ending=str(ending))
