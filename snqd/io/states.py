"""The states of an IoMaster, as StatusNet's monitor shows them, and the ways between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from automat import TypeMachineBuilder

StateListener = Callable[[str, str], None]
"""Told of every change: the state, and a substate such as the queue's or the manager's name."""


class IoStates(Protocol):
    """What happens to an IoMaster."""

    def listen(self) -> None:
        """All managers are up."""

    def work(self, substate: str) -> None:
        """There is a job to do."""

    def poll(self, substate: str) -> None:
        """A manager is polled."""

    def idle(self) -> None:
        """Nothing happened for a while."""

    def sleep(self) -> None:
        """The managers had their idle call."""

    def shut_down(self) -> None:
        """Nothing new is claimed from now on."""


@attrs.define
class StateLog:
    """The present state, and who is told when it changes."""

    listener: StateListener
    state: str = "init"
    substate: str = ""

    def enter(self, state: str, substate: str = "") -> None:
        """Note the new state, and tell the listener if it is one."""
        if (state, substate) != (self.state, self.substate):
            self.state, self.substate = state, substate
            self.listener(state, substate)


_builder = TypeMachineBuilder(IoStates, StateLog)
_init = _builder.state("init")
_listening = _builder.state("listening")
_queue = _builder.state("queue")
_poll = _builder.state("poll")
_idle = _builder.state("idle")
_sleep = _builder.state("sleep")
_shutdown = _builder.state("shutdown")
_awake = (_listening, _queue, _poll, _idle, _sleep)


@_init.upon(IoStates.listen).to(_listening)
def _listen(io: IoStates, log: StateLog) -> None:
    log.enter("listening")


def _enter_queue(io: IoStates, log: StateLog, substate: str) -> None:
    log.enter("queue", substate)


def _enter_poll(io: IoStates, log: StateLog, substate: str) -> None:
    log.enter("poll", substate)


def _enter_idle(io: IoStates, log: StateLog) -> None:
    log.enter("idle")


def _enter_sleep(io: IoStates, log: StateLog) -> None:
    log.enter("sleep")


def _enter_shutdown(io: IoStates, log: StateLog) -> None:
    log.enter("shutdown")


for _state in _awake:
    _state.upon(IoStates.work).to(_queue)(_enter_queue)
    _state.upon(IoStates.poll).to(_poll)(_enter_poll)
    _state.upon(IoStates.idle).to(_idle)(_enter_idle)
    _state.upon(IoStates.sleep).to(_sleep)(_enter_sleep)
    _state.upon(IoStates.listen).loop().returns(None)
for _state in (_init, *_awake):
    _state.upon(IoStates.shut_down).to(_shutdown)(_enter_shutdown)
for _state in (_init, _shutdown):
    _state.upon(IoStates.work).loop().returns(None)
    _state.upon(IoStates.poll).loop().returns(None)
    _state.upon(IoStates.idle).loop().returns(None)
    _state.upon(IoStates.sleep).loop().returns(None)
_shutdown.upon(IoStates.listen).loop().returns(None)
_shutdown.upon(IoStates.shut_down).loop().returns(None)

make_states = _builder.build()
"""Makes the machine of one IoMaster over its StateLog."""
