"""The states of one place for a child, and the ways between them.

resting -> (put off) -> waiting
resting -> booting -> up -> (ended) -> waiting -> booting ...
booting, up -> (hangs) -> killing -> (ended) -> waiting
anything -> (stop) -> leaving -> (ended) -> gone
"""

from __future__ import annotations

from typing import Protocol

from automat import TypeMachineBuilder


class SlotInputs(Protocol):
    """What happens to a place."""

    def start(self) -> None:
        """A child is wanted here."""

    def put_off(self) -> None:
        """A child is wanted here a little later."""

    def ready(self) -> None:
        """The child is up."""

    def ended(self) -> None:
        """The child's process is gone."""

    def rest(self) -> None:
        """The wait is over, and no child is wanted for now."""

    def hang(self) -> None:
        """The child gives no sign of life."""

    def stop(self) -> None:
        """No child is wanted here ever again."""


class SlotActions(Protocol):
    """What a place does about it."""

    state: str

    def spawn(self) -> None:
        """Start a process."""

    def schedule(self) -> None:
        """Set the time of the next start."""

    def cancel(self) -> None:
        """Forget the time of the next start."""

    def kill(self) -> None:
        """SIGABRT now, for the tracebacks, and SIGKILL a little later."""

    def ask_to_leave(self) -> None:
        """Ask for drain and exit, and kill at the deadline."""

    def finish(self) -> None:
        """Tell that nothing is left."""


_builder = TypeMachineBuilder(SlotInputs, SlotActions)  # type: ignore[type-abstract]
_resting = _builder.state("resting")
_waiting = _builder.state("waiting")
_booting = _builder.state("booting")
_up = _builder.state("up")
_killing = _builder.state("killing")
_leaving = _builder.state("leaving")
_gone = _builder.state("gone")


@_resting.upon(SlotInputs.start).to(_booting)
@_waiting.upon(SlotInputs.start).to(_booting)
def _spawn(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "booting"
    slot.cancel()
    slot.spawn()


@_booting.upon(SlotInputs.ready).to(_up)
def _ready(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "up"


@_resting.upon(SlotInputs.put_off).to(_waiting)
@_booting.upon(SlotInputs.ended).to(_waiting)
@_up.upon(SlotInputs.ended).to(_waiting)
@_killing.upon(SlotInputs.ended).to(_waiting)
def _wait(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "waiting"
    slot.schedule()


@_waiting.upon(SlotInputs.rest).to(_resting)
def _rest(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "resting"


@_booting.upon(SlotInputs.hang).to(_killing)
@_up.upon(SlotInputs.hang).to(_killing)
def _hang(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "killing"
    slot.kill()


@_booting.upon(SlotInputs.stop).to(_leaving)
@_up.upon(SlotInputs.stop).to(_leaving)
def _dismiss(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "leaving"
    slot.ask_to_leave()


@_killing.upon(SlotInputs.stop).to(_leaving)
def _await_the_end(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "leaving"  # SIGKILL is on its way already


@_resting.upon(SlotInputs.stop).to(_gone)
@_waiting.upon(SlotInputs.stop).to(_gone)
@_leaving.upon(SlotInputs.ended).to(_gone)
def _finish(inputs: SlotInputs, slot: SlotActions) -> None:
    slot.state = "gone"
    slot.cancel()
    slot.finish()


def _ignore() -> None:
    ignored = {
        _resting: (SlotInputs.ready, SlotInputs.ended, SlotInputs.rest, SlotInputs.hang),
        _waiting: (SlotInputs.ready, SlotInputs.ended, SlotInputs.hang),
        _booting: (SlotInputs.start, SlotInputs.rest),
        _up: (SlotInputs.start, SlotInputs.ready, SlotInputs.rest),
        _killing: (SlotInputs.start, SlotInputs.ready, SlotInputs.rest, SlotInputs.hang),
        _leaving: (SlotInputs.start, SlotInputs.ready, SlotInputs.rest, SlotInputs.hang, SlotInputs.stop),
        _gone: (
            SlotInputs.start,
            SlotInputs.ready,
            SlotInputs.ended,
            SlotInputs.rest,
            SlotInputs.hang,
            SlotInputs.stop,
        ),
    }
    for state, inputs in ignored.items():
        for each in inputs:
            state.upon(each).loop().returns(None)


_ignore()
make_slot_states = _builder.build()
"""Makes the machine of one place."""
