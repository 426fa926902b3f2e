"""Whatever is killed, every job is handled, and only those run twice that ran when their process was killed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from random import Random

import psutil
import pytest
from farm import STOP_TIMEOUT, Farm
from journal import Run
from waiting import exit_code, wait_until

ROUNDS = 10
JOBS_A_ROUND = 200
PARENT_DIES_IN = {3, 7}


class Chaos:
    """Kills children at random, and the parent now and then, and notes which jobs were not settled then."""

    def __init__(self, farm: Farm, random: Random) -> None:
        self.farm = farm
        self.random = random
        self.killed: dict[int, set[str]] = {}

    def kill_a_child(self) -> None:
        children = psutil.Process(self.farm.daemon.pid).children()
        if children:
            self._kill(self.random.choice(children).pid)

    def kill_the_parent(self) -> None:
        self._kill(self.farm.daemon.pid)
        exit_code(self.farm.daemon, STOP_TIMEOUT)

    def _kill(self, pid: int) -> None:
        self.killed[pid] = self._in_store()
        self.farm.kill(pid)

    def _in_store(self) -> set[str]:
        with closing(sqlite3.connect(f"file:{self.farm.state_dir}/queue.db?mode=ro", uri=True)) as database:
            return {job for (job,) in database.execute("SELECT id FROM job")}

    def excuses(self, run: Run) -> bool:
        """Whether a kill is the reason why the job of `run` runs once more: it was not yet settled in the store."""
        return run.job in self.killed.get(run.pid, ())


@pytest.mark.slow
def test_kills_lose_nothing_and_repeat_only_what_was_running(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"snqd": {"drain_timeout": 5}, "queue": {"max_retries": 50}})
    chaos = Chaos(farm, Random(20100117))
    farm.start()
    for number in range(ROUNDS):
        farm.enqueue("alpha" if number % 2 else "beta", "note", '{"seconds": 0.005}', "--count", JOBS_A_ROUND)
        if number in PARENT_DIES_IN:
            chaos.kill_the_parent()
            farm.start()
        else:
            chaos.kill_a_child()
    wait_until(lambda: len(farm.journal.handled()) == ROUNDS * JOBS_A_ROUND, 120, "every job handled")
    wait_until(lambda: farm.queue("note")["in_flight"] == farm.queue("note")["waiting"] == 0, 60, "an empty queue")

    assert len(chaos.killed) >= ROUNDS // 2
    unexcused = [run for runs in farm.journal.by_job().values() for run in runs[:-1] if not chaos.excuses(run)]
    assert not unexcused
    assert farm.dead() == []


def test_a_job_that_kills_its_process_dies_alone(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"max_retries": 2}, "snqd": {"threads": 1}})
    farm.enqueue("alpha", "note", '{"seconds": 1.5}', "--count", 3)
    farm.enqueue("alpha", "killer", '{"seconds": 0.2}')
    farm.enqueue("beta", "note", '{"seconds": 0.01}', "--count", 200)
    farm.start()
    wait_until(lambda: len(farm.journal.handled("note")) == 203, 60, "the killer's neighbours")
    (letter,) = wait_until(farm.dead, 60, "the killer in the morgue")
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    assert "signal 9" in letter["reason"]

    first, *others = farm.journal.runs("killer")
    assert [run.attempt for run in others] == [2, 3]
    # The first time it took neighbours with it; from the second time on it was alone in its process.
    broken = [run for run in farm.journal.runs("note") if run.ended is None]
    assert {run.pid for run in broken} == {first.pid}
    assert json.loads(farm.snqctl("dead", "show", letter["id"], "--json").stdout)[0]["id"] == letter["id"]
