"""What `check` says of the limits and policies of a RabbitMQ, from what its management API says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from snqd.stores.stomp.dialects import has_default_limit
from snqd.stores.stomp.limits import complaints, unknown
from snqd.stores.stomp.management import VirtualHost
from tests.unit.stores.stomp.doubles import TOPOLOGY

OWN = "/queue/snqd.snq.main"
EVERY = ["/queue/snqd.main", f"{OWN}.due", f"{OWN}.solo", f"{OWN}.lane-0 ... -15", "/queue/snqd.snq.dropped"]
DEAD_LETTERED = {"dead-letter-exchange": "", "dead-letter-routing-key": "snqd.snq.dropped"}
DELAYS = {"dead-letter-strategy": "at-least-once", "overflow": "reject-publish"}


def policy(name: str, pattern: str, definition: Mapping[str, Any], priority: int = 0, to: str = "queues") -> Any:
    return {"name": name, "pattern": pattern, "definition": definition, "priority": priority, "apply-to": to}


def said(
    *policies: Any, version: str = "4.0.5", default: str = "quorum", queues: Any = (), operator: Any = ()
) -> list[tuple[str, str]]:
    host = VirtualHost(version, default, {each["name"]: each for each in queues}, policies, operator)
    found = [line.partition(": ") for line in complaints(host, TOPOLOGY, ["main"])]
    return [(name, problem) for name, _, problem in found]


def test_each_destination_whose_limit_drops_jobs_without_a_trace_is_named() -> None:
    found = said()
    assert [name for name, _ in found] == EVERY
    (problem,) = {problem for _, problem in found}
    assert problem.startswith("a quorum queue that drops a job without a trace after 20 returns (no policy): ")


@pytest.mark.parametrize(("version", "default"), [("3.10.8", "quorum"), ("4.0.5", "classic")])
def test_where_no_limit_is_nothing_is_said(version: str, default: str) -> None:
    assert said(version=version, default=default) == []


@pytest.mark.parametrize("to", ["all", "queues", "quorum_queues"])
def test_a_policy_without_a_limit_is_fine(to: str) -> None:
    assert said(policy("unlimited", r"^snqd\.", {"delivery-limit": -1}, to=to)) == []


def test_what_is_dead_lettered_leaves_a_trace_but_for_where_it_is_dead_lettered_to() -> None:
    dropped = policy("dropped", r"^snqd\.", DEAD_LETTERED)
    assert [name for name, _ in said(dropped)] == ["/queue/snqd.snq.dropped"]
    assert said(dropped, policy("last", r"^snqd\.snq\.dropped$", {"delivery-limit": -1}, 1)) == []


def test_a_policy_of_another_kind_of_queue_or_of_less_priority_does_not_hold() -> None:
    unlimited = policy("unlimited", r"^snqd\.", {"delivery-limit": -1}, to="classic_queues")
    assert [name for name, _ in said(unlimited)] == EVERY
    low = policy("unlimited", r"^snqd\.", {"delivery-limit": -1})
    high = policy("seven", r"^snqd\.main$", {"delivery-limit": 7}, 3)
    ((name, problem),) = said(low, high)
    assert (name, "after 7 returns (policy seven)" in problem) == ("/queue/snqd.main", True)


def test_an_operators_policy_and_the_queues_own_arguments_count_too() -> None:
    unlimited = policy("unlimited", r"^snqd\.", {"delivery-limit": -1})
    assert said(operator=[unlimited]) == []
    queue = {"name": "snqd.main", "type": "quorum", "arguments": {"x-delivery-limit": 5}}
    own = policy("own", r"^snqd\.", {"delivery-limit": 9})
    assert "after 5 returns" in dict(said(own, queues=[queue]))["/queue/snqd.main"]
    classic = {"name": "snqd.main", "type": "classic", "arguments": {}}
    assert [name for name, _ in said(queues=[classic])] == EVERY[1:]


def test_a_policy_that_hides_that_of_the_delays_is_named() -> None:
    delays = policy("delays", r"^snqd\.snq\..*\.delay-", DELAYS)
    unlimited = policy("unlimited", r"^snqd\.", {"delivery-limit": -1}, 1)
    found = said(delays, unlimited)
    assert found[0] == (
        f"{OWN}.delay-1s",
        "policy unlimited hides the one with dead-letter-strategy, since only one holds for a queue: give that a "
        "higher priority",
    )
    assert said(policy("delays", r"^snqd\.snq\..*\.delay-", DELAYS, 2), unlimited) == []


def test_where_nobody_can_be_asked_each_destination_is_not_known() -> None:
    assert unknown(TOPOLOGY, ["main"]).startswith(
        f"not known whether a delivery-limit drops jobs of {', '.join(EVERY)}"
    )


@pytest.mark.parametrize(("version", "recent"), [("3.10.8", False), ("4.0.5", True), ("12", True), ("", True)])
def test_a_version_that_is_not_known_counts_as_recent(version: str, recent: bool) -> None:
    assert has_default_limit(version) is recent
