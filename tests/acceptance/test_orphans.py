"""The children of a killed daemon end what they do, beside those of a new one."""

from __future__ import annotations

from collections.abc import Callable

from farm import Farm, alive
from waiting import wait_until

DRAIN_TIMEOUT = 1
EXIT_TIME = 8
"""Seconds that a child may take to give its jobs back and to exit, on a busy machine."""


def test_what_orphans_run_is_theirs_to_end(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"threads": 4}})
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 4}', "--count", 8)
    wait_until(lambda: len(farm.journal.runs("note")) == 8, 30, "all jobs to run")
    orphans = farm.child_pids()
    farm.kill(farm.daemon.pid)
    farm.daemon.wait()
    farm.start()
    farm.enqueue("beta", "note", "--count", 50)
    wait_until(lambda: len(farm.journal.handled("note")) == 58, 30, "every job handled")
    assert len(farm.journal.runs("note")) == 58
    wait_until(lambda: not any(alive(pid) for pid in orphans), 30, "the end of the orphans")
    wait_until(lambda: farm.queue("note")["in_flight"] == farm.queue("note")["waiting"] == 0, 30, "an empty queue")
    ledgers = farm.state_dir / "children"
    wait_until(lambda: len(list(ledgers.glob("*.ledger"))) == 4, 30, "no ledger but those of the new children")


def test_orphans_that_do_not_end_in_time_give_their_jobs_back(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"threads": 2, "drain_timeout": DRAIN_TIMEOUT}})
    farm.start()
    farm.enqueue("alpha", "note", '{"seconds": 600}', "--count", 4)
    wait_until(lambda: len(farm.journal.runs("note")) == 4, 30, "all jobs to run")
    orphans = farm.child_pids()
    farm.kill(farm.daemon.pid)
    farm.daemon.wait()
    wait_until(lambda: not any(alive(pid) for pid in orphans), DRAIN_TIMEOUT + EXIT_TIME, "the end of the orphans")
    farm.start()
    wait_until(lambda: len(farm.journal.runs("note")) == 8, 30, "the jobs to run again")
    # Nobody died while they ran: no attempt was spent.
    assert {run.attempt for run in farm.journal.runs("note")} == {1}
