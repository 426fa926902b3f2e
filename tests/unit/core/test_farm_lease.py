"""Farm leases over days of a clock: never two holders, and a successor within one lease."""

from __future__ import annotations

from random import Random

import pytest

from snqd.core.clocks import BootTime
from snqd.core.farm_lease import FREE, LOOKS, SAFE_SHARE, FarmLease, Holding

LEASE = 60.0


class Farm:
    """A store with one lease, and a clock for all hosts: none is ever compared with another's."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.kept: Holding | None = None

    def now(self) -> BootTime:
        return BootTime(self.time)

    def host(self, name: str) -> FarmLease:
        return FarmLease(name, LEASE, self.now)

    def look(self, lease: FarmLease) -> bool:
        lease.begin()
        found = self.kept
        new = lease.proposal(found)
        if new is not None and self.kept == found:
            self.kept = new
            lease.confirm(new)
        return lease.held

    def give_back(self, lease: FarmLease) -> None:
        given = lease.give_back()
        if given is not None and self.kept == given[0]:
            self.kept = given[1]


@pytest.fixture
def farm() -> Farm:
    return Farm()


def test_the_first_to_look_has_it(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    assert not one.held
    assert farm.look(one)
    assert not farm.look(two)
    assert two.holder == "one"


def test_a_holder_that_looks_keeps_it_for_days(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    for _ in range(100_000):
        assert farm.look(one)
        assert not farm.look(two)
        farm.time += LEASE / LOOKS


def test_a_successor_has_it_within_a_lease_and_a_look_of_the_last_sign_of_life(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    farm.look(one)
    farm.look(two)
    died = farm.time
    while not farm.look(two):
        farm.time += LEASE / LOOKS
    assert farm.time - died <= LEASE * (1 + 1 / LOOKS)


def test_whoever_comes_new_waits_a_whole_lease_of_its_own(farm: Farm) -> None:
    one = farm.host("one")
    farm.look(one)
    farm.time += 10 * LEASE
    two = farm.host("two")
    assert not farm.look(two)
    farm.time += LEASE - 1
    assert not farm.look(two)
    farm.time += 1
    assert farm.look(two)


def test_what_is_given_back_is_taken_at_the_next_look(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    farm.look(one)
    farm.look(two)
    farm.give_back(one)
    assert not one.held
    assert farm.kept == Holding(FREE, 2)
    assert farm.look(two)


def test_a_holder_that_can_t_reach_the_store_holds_it_no_more_before_another_may_take_it(farm: Farm) -> None:
    one = farm.host("one")
    farm.look(one)
    farm.time += LEASE * SAFE_SHARE - 0.01
    assert one.held
    assert one.seconds_left == pytest.approx(0.01)
    farm.time += 0.01
    assert not one.held
    assert one.seconds_left == 0.0
    assert farm.look(one), "nobody has taken it meanwhile"


def test_a_confirmation_counts_from_the_beginning_of_its_look(farm: Farm) -> None:
    """The answer may come late: another host may have seen the beat long before."""
    one = farm.host("one")
    one.begin()
    new = one.proposal(None)
    assert new is not None
    farm.time += LEASE
    one.confirm(new)
    assert not one.held


def test_one_whose_lease_was_taken_holds_it_no_more_and_gives_nothing_back(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    farm.look(one)
    farm.look(two)
    farm.time += LEASE
    assert farm.look(two)
    assert not farm.look(one)
    farm.give_back(one)
    assert farm.kept is not None
    assert farm.kept.holder == "two"


def test_an_answer_that_was_lost_is_found_at_the_next_look(farm: Farm) -> None:
    one = farm.host("one")
    one.begin()
    farm.kept = one.proposal(None)  # written, but nobody heard of it
    assert not one.held
    assert farm.look(one)


@pytest.mark.parametrize("seed", range(20))
def test_there_are_never_two(farm: Farm, seed: int) -> None:
    """Hosts that stop, lose the store, and come back whenever they like."""
    random = Random(seed)
    hosts = [farm.host(str(number)) for number in range(4)]
    held = 0
    for _ in range(20_000):
        farm.time += random.expovariate(LOOKS / LEASE)
        farm.look(random.choice(hosts[: random.randint(1, 4)]))
        holders = [host for host in hosts if host.held]
        assert len(holders) <= 1
        held += len(holders)
    assert held > 1000, "it is held at all"


def test_what_a_process_held_that_is_dead_for_certain_is_taken_at_once(farm: Farm) -> None:
    one = farm.host("one")
    assert farm.look(one)
    two = FarmLease("two", LEASE, farm.now, gone=("zero", "one"))
    assert farm.look(two)
    assert not farm.look(farm.host("three"))


def test_nobody_else_begins_before_the_end_that_it_tells(farm: Farm) -> None:
    one, two = farm.host("one"), farm.host("two")
    assert farm.look(one)
    assert one.seconds_to_end == LEASE
    farm.look(two)
    farm.time += LEASE - 1
    assert not one.held
    assert one.seconds_to_end == 1
    assert not farm.look(two)
    farm.time += 1
    assert one.seconds_to_end == 0
    assert farm.look(two)
    farm.look(one)
    assert one.seconds_to_end == 0
