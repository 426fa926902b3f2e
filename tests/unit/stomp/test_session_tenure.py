"""A process that stood still, and a broker that may have closed the session meanwhile."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from snqd.stomp import session_tenure
from snqd.stomp.session_tenure import MOST_TURNS, SessionTenure

BEAT = 10.0


class Turns(Clock):
    """What is set for now in one turn runs in the next."""

    def turn(self) -> None:
        for call in list(self.getDelayedCalls()):
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class Session:
    """:ivar now: the boot clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 500.0
        self.clock = Turns()
        monkeypatch.setattr(session_tenure, "boot_time", lambda: self.now)
        self.follows = SessionTenure(self.clock)

    @property
    def holds(self) -> bool:
        return self.now < self.follows.tenure.until

    def begun(self) -> SessionTenure:
        self.follows.begin(BEAT)
        return self.follows


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    return Session(monkeypatch)


def test_without_heart_beats_it_ends_with_the_connection_alone(session: Session) -> None:
    session.now += 1e6
    assert session.holds
    session.follows.end()
    assert session.follows.tenure.ended


def test_each_heart_beat_extends_it(session: Session) -> None:
    follows = session.begun()
    for _ in range(5):
        session.now += BEAT / 2
        follows.beat()
    session.now += BEAT - 1
    assert session.holds
    session.now += 2
    assert not session.holds


def test_after_a_pause_it_is_extended_once_all_that_came_is_read(session: Session) -> None:
    follows = session.begun()
    session.now += 60
    done = follows.renew()
    for _ in range(3):
        follows.read()
        session.clock.turn()
        assert not done.called
        assert not session.holds
    session.clock.turn()
    assert done.called
    assert session.holds


def test_the_heart_beat_that_is_due_after_a_pause_tells_nothing_by_itself(session: Session) -> None:
    follows = session.begun()
    session.now += 60
    follows.beat()
    assert not session.holds
    session.clock.turn()
    assert session.holds


def test_a_connection_whose_end_was_read_ended_it(session: Session) -> None:
    follows = session.begun()
    session.now += 60
    done = follows.renew()
    follows.read()
    session.clock.turn()
    follows.end()
    assert done.called
    assert follows.tenure.ended
    assert session.clock.getDelayedCalls() == []
    assert follows.renew().called


def test_a_broker_that_never_stops_sending_is_still_there(session: Session) -> None:
    follows = session.begun()
    session.now += 60
    done = follows.renew()
    for _ in range(MOST_TURNS + 1):
        follows.read()
        session.clock.turn()
    assert done.called
    assert session.holds


def test_while_it_holds_nobody_waits(session: Session) -> None:
    assert session.begun().renew().called
