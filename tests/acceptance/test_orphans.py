"""The children of a killed daemon end what they do, beside those of a new one."""

from __future__ import annotations

import json
from collections.abc import Callable

from farm import Farm, alive
from waiting import LONGEST_WAIT, wait_until

DRAIN_TIMEOUT = 1
EXIT_TIME = 8
"""Seconds that a child may take to give its jobs back and to exit."""


def test_what_orphans_run_is_theirs_to_end(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"threads": 4, "drain_timeout": LONGEST_WAIT}})
    farm.start()
    gate = farm.folder / "go"
    farm.enqueue("alpha", "until", json.dumps({"file": str(gate)}), "--count", 8)
    wait_until(lambda: len(farm.journal.runs("until")) == 8, 30, "all jobs to run")
    orphans = farm.child_pids()
    farm.kill(farm.daemon.pid)
    farm.daemon.wait()
    farm.start()
    farm.enqueue("beta", "note", "--count", 50)
    wait_until(lambda: len(farm.journal.handled("note")) == 50, 30, "the new children's jobs")
    assert farm.journal.handled("until") == set()
    gate.touch()
    wait_until(lambda: len(farm.journal.handled("until")) == 8, 30, "the orphans' jobs")
    wait_until(lambda: not any(alive(pid) for pid in orphans), 30, "the end of the orphans")
    wait_until(lambda: farm.queue("until")["in_flight"] == farm.queue("until")["waiting"] == 0, 30, "an empty queue")
    assert len(farm.journal.runs()) == 58
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
