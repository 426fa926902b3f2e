"""The inbox: what waits, in turn among sites, and what is in hand."""

from __future__ import annotations

from typing import Any

from snqd.core.job import Job
from snqd.stomp.frame import Frame
from snqd.stores.interface import Pauses, Receipt, Want
from snqd.stores.stomp.consumer import Arrival
from snqd.stores.stomp.inbox import Inbox
from tests.unit.stores.stomp.doubles import FakeConsumer

NONE = Pauses()


def arrival(job_id: str, site: str = "alpha", queue: str = "q", epoch: int = 1, alone: bool = False) -> Arrival:
    source: Any = type("Source", (), {"alone": alone, "consumer": FakeConsumer()})()
    return Arrival(Job(job_id, site, queue, b"1"), Frame("MESSAGE", {}), source, epoch)


def filled(*arrivals: Arrival) -> Inbox:
    inbox = Inbox()
    for each in arrivals:
        inbox.add(each)
    return inbox


def taken(inbox: Inbox, want: Want, pauses: Pauses = NONE) -> list[str]:
    return [claimed.job.id for claimed in inbox.take("q", want, pauses)]


def test_sites_take_turns_and_each_keeps_its_order() -> None:
    inbox = filled(*(arrival(f"a{n}") for n in range(3)), *(arrival(f"b{n}", "beta") for n in range(3)))
    assert taken(inbox, Want(3)) == ["a0", "a1", "b0"]
    assert taken(inbox, Want(0)) == []
    assert sorted(taken(inbox, Want(10))) == ["a2", "b1", "b2"]
    assert taken(inbox, Want(10)) == []


def test_what_is_held_already_is_evened_out() -> None:
    inbox = filled(*(arrival(f"a{n}") for n in range(3)), *(arrival(f"b{n}", "beta") for n in range(3)))
    assert taken(inbox, Want(2, {"alpha": 5})) == ["b0", "b1"]


def test_only_what_is_wanted_and_not_paused_is_handed_out() -> None:
    inbox = filled(arrival("a"), arrival("b", "beta"), arrival("r", queue="r"))
    assert taken(inbox, Want(10), Pauses(sites=frozenset({"alpha"}))) == ["b"]
    assert taken(inbox, Want(10)) == ["a"]


def test_an_ordered_queue_has_one_job_of_a_site_in_hand() -> None:
    inbox = filled(arrival("a1"), arrival("a2"), arrival("b1", "beta"))
    want = Want(10, ordered=True)
    first = inbox.take("q", want, NONE)
    assert [each.job.id for each in first] == ["a1", "b1"]
    assert [each.id for each in inbox.jobs_in_hand()] == ["a1", "b1"]
    assert taken(inbox, want) == []
    inbox.release(first[0].receipt)
    assert taken(inbox, want) == ["a2"]


def test_where_order_is_promised_later_jobs_wait_for_one_that_was_sent_away() -> None:
    inbox = filled(arrival("a2"))
    inbox.went_away(Job("a1", "alpha", "q", b"1"))
    assert taken(inbox, Want(10, ordered=True)) == []
    inbox.add(arrival("a1"))
    assert taken(inbox, Want(10, ordered=True)) == ["a1"]


def test_what_is_given_back_comes_first() -> None:
    inbox = filled(arrival("a1"), arrival("a2"))
    (claimed,) = inbox.take("q", Want(1), NONE)
    inbox.put_back(inbox.release(claimed.receipt))
    assert taken(inbox, Want(10)) == ["a1", "a2"]


def test_a_receipt_is_good_once_and_only_of_its_epoch() -> None:
    inbox = filled(arrival("a1", epoch=7))
    (claimed,) = inbox.take("q", Want(1), NONE)
    assert inbox.held(Receipt(claimed.receipt.key, 8)) is None
    assert inbox.held(claimed.receipt) is not None
    inbox.release(claimed.receipt)
    assert inbox.held(claimed.receipt) is None


def test_what_a_lost_connection_brought_is_forgotten() -> None:
    inbox = filled(arrival("a1", epoch=1), arrival("a2", epoch=1), arrival("a3", epoch=2))
    (claimed,) = inbox.take("q", Want(1), NONE)
    assert inbox.drop(1) == 1
    assert inbox.held(claimed.receipt) is None
    assert taken(inbox, Want(10)) == ["a3"]


def test_what_is_unwanted_is_taken_out_and_the_rest_stays_in_order() -> None:
    inbox = filled(*(arrival(f"a{n}") for n in range(4)))
    assert [each.job.id for each in inbox.withdraw(lambda each: each.job.id in ("a1", "a2"))] == ["a1", "a2"]
    assert taken(inbox, Want(10)) == ["a0", "a3"]


def test_it_knows_what_is_in_hand() -> None:
    inbox = filled(arrival("a1"), arrival("b1", "beta"))
    inbox.take("q", Want(10), NONE)
    assert inbox.in_hand() == 2
    assert inbox.shares_in_hand() == {("q", "alpha"): 1, ("q", "beta"): 1}
    assert not inbox.has_in_hand_alone()
    inbox.hand_out(arrival("s", alone=True))
    assert inbox.has_in_hand_alone()
