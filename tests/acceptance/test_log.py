"""The log of a whole daemon: JSON lines with fields, and levels that reach the children."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from farm import Farm
from waiting import wait_until


@pytest.fixture
def logging_farm(make_farm: Callable[..., Farm]) -> Farm:
    """A farm that logs in JSON and gives up soon."""
    return make_farm(sections={"snqd": {"log_format": "json", "threads": 1}, "queue": {"max_retries": 0}})


def events(farm: Farm) -> list[dict[str, Any]]:
    """Every line of the log; each must be an object."""
    return [json.loads(line) for line in farm.log().splitlines()]


def test_a_failure_is_one_line_with_site_queue_job_and_attempt(logging_farm: Farm) -> None:
    logging_farm.start()
    logging_farm.enqueue("alpha", "picky", '{"unless": "/nowhere"}')
    (letter,) = wait_until(logging_farm.dead, 30, "a dead letter")

    def told() -> list[dict[str, Any]]:
        return [event for event in events(logging_farm) if event.get("job") == letter["id"]]

    (event,) = wait_until(told, 30, "its line")
    assert {key: event[key] for key in ("level", "site", "queue", "attempt", "child", "reason")} == {
        "level": "error",
        "site": "alpha",
        "queue": "picky",
        "attempt": 1,
        "child": "farm.main.1",
        "reason": "no such image",
    }
    assert event["namespace"].startswith("snqd.queues.")


def test_a_level_set_at_run_time_reaches_children_now_and_later(logging_farm: Farm) -> None:
    logging_farm.start()
    assert logging_farm.snqctl("log-level", "farm_handlers", "debug").returncode == 0
    logging_farm.enqueue("alpha", "note", "--count", 1)
    seen = wait_until(lambda: debugged(logging_farm), 30, "a line of the handler's")
    (pid,) = logging_farm.child_pids()
    logging_farm.kill(pid)
    logging_farm.enqueue("alpha", "note", "--count", 1)
    wait_until(lambda: len(debugged(logging_farm)) > len(seen), 30, "a line of the next child's")
    assert logging_farm.snqctl("log-level", "farm_handlers", "info").returncode == 0
    assert logging_farm.snqctl("log-level", "farm_handlers", "loud").returncode == 2


def test_what_a_handler_prints_is_in_the_log_at_once_whatever_the_locale(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(handlers={"printer": "farm_handlers.Printer"}, sections={"snqd": {"threads": 1}})
    farm.locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    farm.start()
    farm.enqueue("alpha", "printer", '"Zürich"')
    wait_until(lambda: "printed Zürich" in farm.log(), 30, "what the handler printed")
    answer = farm.snqctl("run", "alpha", "printer", '"Zürich"')
    assert answer.stdout.startswith("printed Zürich\n")


def debugged(farm: Farm) -> list[dict[str, Any]]:
    """What the handler says on level debug."""
    return [event for event in events(farm) if (event["level"], event["message"]) == ("debug", "noted")]
