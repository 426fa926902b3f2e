"""The keeper of a farm lease: it looks, tells once that the lease came or went, and gives it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from snqd.child.farm_lease_keeper import FIRST_LOOK_PATIENCE, GIVE_BACK_PATIENCE, FarmLeaseKeeper
from snqd.core.clocks import BootTime
from snqd.core.errors import StoreUnavailable
from snqd.core.farm_lease import FREE, LOOKS, SAFE_SHARE, FarmLease, Holding

LEASE = 60.0


class Leases:
    """:ivar trouble: what every call fails with. :ivar waits: whether calls get no answer at all."""

    def __init__(self) -> None:
        self.kept: dict[str, Holding] = {}
        self.trouble: Exception | None = None
        self.closed = False
        self.waits = False

    def lease_of(self, name: str) -> Holding | None:
        if self.trouble is not None:
            raise self.trouble
        return self.kept.get(name)

    def exchange_lease(self, name: str, found: Holding | None, new: Holding) -> bool:
        if self.lease_of(name) != found:
            return False
        self.kept[name] = new
        return True

    def close(self) -> None:
        self.closed = True

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return Deferred() if self.waits else maybeDeferred(function, *arguments)


class Host:
    def __init__(self, name: str, clock: Clock, leases: Leases) -> None:
        self.told: list[str] = []
        self.lease = FarmLease(name, LEASE, lambda: BootTime(clock.seconds()))
        self.keeper = FarmLeaseKeeper(
            clock,
            leases,
            leases.in_thread,
            "group:x",
            self.lease,
            LEASE,
        )
        self.keeper.on_taken = lambda: self.told.append("taken")
        self.keeper.on_lost = lambda: self.told.append("lost")

    def start(self) -> Host:
        self.keeper.start(None)  # type: ignore[arg-type]
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases() -> Leases:
    return Leases()


def passes(clock: Clock, seconds: float) -> None:
    clock.pump([LEASE / LOOKS] * round(seconds / LEASE * LOOKS))


def test_it_takes_a_free_lease_at_once_and_tells_it_once(clock: Clock, leases: Leases) -> None:
    one = Host("one", clock, leases).start()
    assert one.told == ["taken"]
    passes(clock, 10 * LEASE)
    assert one.told == ["taken"]
    assert one.keeper.report() == {"holder": "one", "trouble": None}


def test_another_one_waits_and_names_the_holder(clock: Clock, leases: Leases) -> None:
    Host("one", clock, leases).start()
    two = Host("two", clock, leases).start()
    passes(clock, 10 * LEASE)
    assert two.told == []
    assert two.keeper.report() == {"holder": "one", "trouble": None}


def test_a_stop_gives_it_back_so_that_another_has_it_at_its_next_look(clock: Clock, leases: Leases) -> None:
    one, two = Host("one", clock, leases).start(), Host("two", clock, leases).start()
    assert one.keeper.stop().called
    assert leases.closed
    clock.advance(LEASE / LOOKS)
    assert two.told == ["taken"]
    assert one.told == ["taken"], "whoever stops by itself has lost nothing"


def test_it_is_lost_in_time_when_the_store_is_away(clock: Clock, leases: Leases, logged: list[str]) -> None:
    one = Host("one", clock, leases).start()
    leases.trouble = StoreUnavailable("gone")
    clock.advance(LEASE * SAFE_SHARE - 0.1)
    assert one.told == ["taken"]
    clock.advance(0.2)
    assert one.told == ["taken", "lost"]
    assert logged.count("warn: could not renew the farm lease group:x, and tries again: gone") == 1


def test_it_is_lost_in_time_when_the_store_never_answers(clock: Clock, leases: Leases) -> None:
    one = Host("one", clock, leases).start()
    leases.waits = True
    passes(clock, LEASE)
    assert one.told == ["taken", "lost"]


def test_a_short_trouble_loses_nothing(clock: Clock, leases: Leases) -> None:
    one = Host("one", clock, leases).start()
    leases.trouble = StoreUnavailable("gone")
    passes(clock, LEASE / 3)
    leases.trouble = None
    passes(clock, 10 * LEASE)
    assert one.told == ["taken"]


def test_a_look_that_breaks_is_not_the_last(clock: Clock, leases: Leases, logged: list[str]) -> None:
    leases.trouble = RuntimeError("broken")
    one = Host("one", clock, leases).start()
    assert any("could not look after the farm lease" in line for line in logged)
    leases.trouble = None
    passes(clock, LEASE)
    assert one.told == ["taken"]


def test_a_store_that_is_away_does_not_hold_up_a_stop(clock: Clock, leases: Leases, logged: list[str]) -> None:
    one = Host("one", clock, leases).start()
    leases.waits = True
    stopped: list[Any] = []
    one.keeper.stop().addCallback(stopped.append)
    assert not stopped
    clock.advance(GIVE_BACK_PATIENCE)
    assert stopped
    assert any("was not given back" in line for line in logged)
    assert not clock.getDelayedCalls()


def test_the_start_waits_for_the_first_look_but_not_for_a_store_that_is_away(clock: Clock, leases: Leases) -> None:
    up: list[Any] = []
    one = Host("one", clock, leases)
    one.keeper.start(None).addCallback(up.append)  # type: ignore[arg-type]
    assert up
    assert one.lease.held

    leases.waits = True
    two = Host("two", clock, leases)
    two.keeper.start(None).addCallback(up.append)  # type: ignore[arg-type]
    assert len(up) == 1
    clock.advance(FIRST_LOOK_PATIENCE)
    assert len(up) == 2


def test_it_can_look_before_its_time(clock: Clock, leases: Leases) -> None:
    one, two = Host("one", clock, leases).start(), Host("two", clock, leases).start()
    one.keeper.stop()
    two.keeper.look_now()
    assert two.told == ["taken"]
    passes(clock, 3 * LEASE)
    assert leases.kept["group:x"].beat > 3 * LOOKS, "it looks on as before"


def test_one_that_stops_while_it_looks_neither_takes_nor_loses_it(clock: Clock, leases: Leases) -> None:
    answers: list[Deferred[Any]] = []

    def later(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        answers.append(Deferred().addCallback(lambda _: function(*arguments)))
        return answers[-1]

    leases.in_thread = later  # type: ignore[method-assign]
    one = Host("one", clock, leases).start()
    stopped: list[Any] = []
    one.keeper.stop().addCallback(stopped.append)
    while not stopped:
        answers.pop(0).callback(None)
    assert one.told == []
    assert leases.kept["group:x"].holder == FREE
    clock.advance(LEASE)
    assert one.told == []


def test_what_is_lost_is_looked_after_no_more_by_this_process(clock: Clock, leases: Leases) -> None:
    one = Host("one", clock, leases).start()
    leases.trouble = StoreUnavailable("gone")
    passes(clock, LEASE)
    assert one.keeper.report() == {"holder": "one", "trouble": "gone"}
    leases.trouble = None
    passes(clock, LEASE)
    assert one.told == ["taken", "lost"]
    assert not one.lease.held


def test_what_has_lapsed_is_lost_though_the_store_confirms_it_late(clock: Clock, leases: Leases) -> None:
    one = Host("one", clock, leases).start()
    late: Deferred[Any] = Deferred()
    leases.in_thread = lambda function, *arguments: late.addCallback(  # type: ignore[method-assign]
        lambda _: function(*arguments)
    )
    clock.rightNow += LEASE  # nothing ran meanwhile, no timer either
    one.keeper.look_now()
    late.callback(None)
    clock.advance(0)
    assert one.told == ["taken", "lost"]
