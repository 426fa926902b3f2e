"""An exclusive group beside those of other daemons: who holds it, and what one that waits is not asked to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.daemon.test_recovery import leave_ledger

EXCLUSIVE = "[handlers]\nmail = exec: true\n[group:xmpp]\nqueues = mail\nexclusive = yes\n"


def group(stage: Any, name: str = "xmpp") -> dict[str, Any]:
    return next(each for each in stage.status()["groups"] if each["name"] == name)


def child(stage: Any) -> Any:
    return stage.reactor.named("t.xmpp.1").child


def reports(stage: Any, **report: Any) -> None:
    child(stage).report_answer = {"report": {"state": "idle", **report}, "counters": []}


@pytest.mark.parametrize(
    ("report", "holder"),
    [
        ({}, "t"),
        ({"holder": ""}, None),
        ({"holder": "other.host.xmpp.1-0f"}, "other.host"),
        ({"holder": "t.xmpp.1-0f"}, "t"),
    ],
)
def test_the_status_names_the_holder_as_far_as_it_is_known(stage: Any, report: dict[str, Any], holder: str) -> None:
    s = stage(EXCLUSIVE).started_ready()
    reports(s, **report)
    assert group(s)["holder"] == holder
    assert group(s, "main")["holder"] is None


def test_nobody_knows_the_holder_where_no_child_is_up(stage: Any) -> None:
    s = stage(EXCLUSIVE).start()
    assert group(s)["holder"] is None


def test_a_child_that_waits_is_seen_as_that_and_recovers_nothing_until_it_works(stage: Any) -> None:
    s = stage(EXCLUSIVE).start()
    child(s).beat(state="standby")
    child(s).ready()
    reports(s, state="standby", holder="other.xmpp.1-0f")
    assert group(s)["children"][0]["state"] == "standby"
    main = s.reactor.named("t.main.1")
    path = leave_ledger(s, main.spec.incarnation, "job-1")
    main.exits(killed_by=9)
    assert child(s).recoveries == []
    child(s).beat(state="idle")
    assert len(child(s).recoveries) == 1
    assert not path.exists()
