"""Children, handlers and a parent that stand still: each is ended or forgiven, the log says it, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from farm import Farm
from waiting import wait_until

HANG_TIMEOUT = 3
STOPPED = 30 if os.environ.get("SNQD_FULL") == "1" else 2 * HANG_TIMEOUT
"""Seconds for which a parent stands still."""
FOUND = "gave no sign of life for"


@pytest.fixture
def hanging(make_farm: Callable[..., Farm]) -> Farm:
    """A farm that loses patience soon."""
    return make_farm(
        sections={
            "snqd": {"hang_timeout": HANG_TIMEOUT, "threads": 2},
            "queue": {"max_retries": 1, "retry_delay": 0.1},
        }
    )


def stuck(farm: Farm, **payload: Any) -> None:
    farm.enqueue("alpha", "stuck", json.dumps(payload))


@pytest.mark.parametrize(("where", "frame"), [("loop", "in _loop"), ("call", "in <lambda>")])
def test_a_handler_that_blocks_is_ended_with_its_stack_in_the_log(hanging: Farm, where: str, frame: str) -> None:
    hanging.enqueue("alpha", "note", '{"seconds": 0.01}', "--count", 20)
    stuck(hanging, **{"in": where, "once": True})
    hanging.start()
    wait_until(lambda: hanging.journal.handled("stuck"), 60, "the second attempt")
    wait_until(lambda: len(hanging.journal.handled("note")) == 20, 30, "its neighbours")
    log = hanging.log()
    assert FOUND in log
    assert "was killed by signal 6" in log
    assert "Fatal Python error: Aborted" in log
    assert frame in log
    assert "were running, and go solo" in log
    assert [run.attempt for run in hanging.journal.runs("stuck")] == [1, 2]


def test_a_handler_that_always_blocks_ends_in_the_morgue(hanging: Farm) -> None:
    stuck(hanging, **{"in": "loop"})
    hanging.start()
    (letter,) = wait_until(hanging.dead, 60, "a dead letter")
    assert (letter["queue"], letter["attempts"]) == ("stuck", 2)
    assert "its process gave no sign of life for" in letter["reason"]
    assert "(it hung) and was killed by signal 6 (attempt 2 of 2)" in letter["reason"]


def test_a_stopped_child_is_killed_and_its_jobs_are_done_by_others(hanging: Farm) -> None:
    hanging.start()
    gate = hanging.folder / "go"
    hanging.enqueue("alpha", "until", json.dumps({"file": str(gate)}), "--count", 4)
    wait_until(lambda: len(hanging.journal.runs()) == 4, 30, "four jobs at work")
    victim = hanging.journal.runs()[0].pid
    hanging.kill(victim, signal.SIGSTOP)
    gate.touch()
    wait_until(lambda: len(hanging.journal.handled()) == 4, 60, "every job handled")
    wait_until(lambda: "was killed by signal 9" in hanging.log(), 30, "the end of the stopped child")
    assert FOUND in hanging.log()
    assert hanging.dead() == []


def test_a_deferred_that_never_fires_ends_by_its_timeout(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(
        sections={"handler:stuck": {"timeout": 1, "max_retries": 1, "retry_delay": 0.1}, "snqd": {"hang_timeout": 2}}
    )
    farm.start()
    before = len(farm.log())
    stuck(farm, **{"in": "deferred"})
    (letter,) = wait_until(farm.dead, 60, "a dead letter")
    assert letter["attempts"] == 2
    assert "1 s" in letter["reason"]
    assert FOUND not in farm.log()[before:]


def test_a_parent_that_was_stopped_forgives_its_children(hanging: Farm) -> None:
    hanging.start()
    pids = set(hanging.child_pids())
    before = len(hanging.log())  # on a busy machine a child may have been slow to boot
    parent = psutil.Process(hanging.daemon_pid)
    parent.suspend()
    try:
        hanging.enqueue("alpha", "note", "--count", 20)
        wait_until(lambda: len(hanging.journal.handled()) == 20, 30, "work without a parent")
        resumed_at = time.monotonic() + STOPPED
        wait_until(lambda: time.monotonic() > resumed_at, 2 * STOPPED, "a long stop")
    finally:
        parent.resume()
    wait_until(lambda: "this process did not run for" in hanging.log(), 30, "the parent's word on it")
    looked_until = time.monotonic() + HANG_TIMEOUT + 1
    wait_until(lambda: time.monotonic() > looked_until, 30, "some looks at the children")
    assert set(hanging.child_pids()) == pids
    assert FOUND not in hanging.log()[before:]
