"""A process that stood still past its lease begins nothing that another has done meanwhile."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from farm import Farm
from waiting import wait_until

LEASE = 2
BLOCKED = 12
JOBS = 30


def test_a_child_that_was_blocked_begins_nothing_that_its_sibling_has_done(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(
        handlers={"blocks": "farm_handlers.Blocks"},
        sections={"queue": {"lease": LEASE, "concurrency": 4}, "snqd": {"hang_timeout": 60}},
    )
    farm.start()
    once = farm.folder / "once"
    once.touch()
    payload = json.dumps({"file": str(once), "seconds": BLOCKED})
    # Jobs that take nothing are claimed by the dozen.
    farm.enqueue("alpha", "blocks", payload, "--count", 200)
    wait_until(lambda: len(farm.journal.handled()) == 200, 30, "two hundred jobs")
    one, other = farm.child_pids()
    farm.kill(other, signal.SIGSTOP)
    once.unlink()
    farm.enqueue("alpha", "blocks", payload, "--count", JOBS)
    wait_until(lambda: len(farm.journal.runs()) > 200, 30, "the one that blocks")
    farm.kill(other, signal.SIGCONT)
    # The one that blocks is a suspect by then, and runs alone in a process of its own.
    wait_until(lambda: _done_but_by(farm, one) == JOBS, BLOCKED, "the others' work")
    wait_until(lambda: farm.journal.runs()[200].ended is not None, 2 * BLOCKED, "the end of the block")
    wait_until(lambda: "its jobs were given to others" in farm.log(), 30, "that the child has noticed")
    farm.enqueue("beta", "note", "--count", 20)
    wait_until(lambda: len(farm.journal.handled("note")) == 20, 30, "that it goes on")
    assert farm.stop() == 0
    late = farm.journal.runs("blocks")[200:]
    assert len({run.job for run in late}) == JOBS
    assert [run.pid for run in late if run.pid == one] == [one], "the one that ran there, and no other"


def _done_but_by(farm: Farm, pid: int) -> int:
    return sum(1 for run in farm.journal.runs("blocks")[200:] if run.pid != pid and run.ended is not None)
