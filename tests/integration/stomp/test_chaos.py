"""Chaos on brokers: whatever is killed or cut, nothing is lost, and what runs twice does so for a known reason."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from random import Random

import attrs
import psutil
import pytest
from farm import STOP_TIMEOUT, Farm
from journal import Run
from waiting import wait_until

from snqd import connect
from tests.servers.broker import Broker
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.frame_log import Passage, Session

FULL = bool(os.environ.get("SNQD_FULL"))
JOBS, BROKER_DEATHS, LONGEST = (20_010, 3, 16_000_000) if FULL else (900, 1, 1_000_000)
SECONDS = 0.15
# How long an acknowledgement that a broker has read may not be on its disk yet, in seconds.
TO_THE_DISK = 1.0
# How long after its death a broker's connections may be seen to end.
SEEN_LATER = 1.0
RETURN = 5.0


@attrs.define
class Blows:
    """What was done to a farm and its broker. Times are `time.monotonic()`.

    :ivar killed: when each process was.
    :ivar orphans: the children of parents that were killed; they leave by themselves.
    :ivar outages: from each death of the broker until it answered again.
    """

    farm: Farm
    broker: Broker
    proxy: CuttingProxy
    random: Random
    killed: dict[int, float] = attrs.field(factory=dict)
    orphans: set[int] = attrs.field(factory=set)
    outages: list[tuple[float, float]] = attrs.field(factory=list)

    def kill_a_child(self) -> None:
        children = psutil.Process(self.farm.daemon.pid).children()
        if children:
            self._kill(self.random.choice(children).pid)

    def kill_the_parent(self) -> None:
        self.orphans.update(child.pid for child in psutil.Process(self.farm.daemon.pid).children())
        self._kill(self.farm.daemon.pid)
        self.farm.daemon.wait(STOP_TIMEOUT)
        self.farm.start()

    def kill_the_broker(self) -> None:
        died = time.monotonic()
        self.broker.kill()
        self.broker.start()
        self.outages.append((died, time.monotonic()))

    def _kill(self, pid: int) -> None:
        self.farm.kill(pid)
        self.killed[pid] = time.monotonic()

    def cause(self, run: Run, again: Run) -> str:
        """Why the job of `run` ran once more as `again`; empty if no frame of it that was lost explains it."""
        frames = self.proxy.frames
        before = [each for each in frames.deliveries[run.job] if each.at < again.started]
        own = [each for each in before if each.session.pid == run.pid and each.at < run.started]
        if own and (end := self._loss(own[-1], again.started)):
            return f"{'not acknowledged' if own[-1].answered is None else 'acknowledged too late'}: {end}"
        sendings = frames.sendings[run.job]
        for each in before:
            moved = any(sent.session.pid == each.session.pid and sent.at > each.at for sent in sendings)
            if moved and (end := self._loss(each, again.started)):
                return f"moved, and the original not acknowledged: {end}"
        for one, other in pairwise(sendings):
            if one.attempt == other.attempt and (end := self._loss(one, other.at)):
                return f"sent twice, the first time not confirmed: {end}"
        return ""

    def _loss(self, passage: Passage, before: float) -> str:
        """What has kept the answer to `passage` from counting, before that time; empty if nothing has."""
        ended, answered = passage.session.ended, passage.answered
        if passage.is_open and ended is not None and ended < before:
            return self._end(passage.session, ended)
        if answered is not None and any(died - TO_THE_DISK < answered < died < before for died, _ in self.outages):
            return "the broker was killed before it was on its disk"
        return ""

    def _end(self, session: Session, ended: float) -> str:
        """Which blow has ended a session."""
        if session.was_cut:
            return "its connection was cut"
        if any(died <= ended < died + SEEN_LATER for died, _ in self.outages):
            return "the broker was killed"
        if session.pid in self.killed:
            return "its process was killed"
        return "its process left, since its parent was killed" if session.pid in self.orphans else ""


@pytest.fixture
def proxy(broker: Broker) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(broker.port, Random(1963), longest=LONGEST)
    yield proxy
    proxy.close()


@pytest.mark.slow
def test_nothing_is_lost_and_what_runs_twice_was_hit(
    farm_on: Callable[..., Farm], broker: Broker, proxy: CuttingProxy
) -> None:
    farm = farm_on("farm", stomp_server=f"tcp://127.0.0.1:{proxy.port}", retry_delay=1, max_retries=50)
    chains = JOBS // 30
    fill(farm, chains)
    blows = Blows(farm, broker, proxy, Random(1984))
    proxy.cutting = True
    farm.start()
    every = JOBS + 3 * chains
    deal(blows, every)
    wait_until(lambda: len(farm.journal.handled()) >= every, 240, "the end of all jobs")
    assert farm.dead() == []
    tell(blows, every)


def fill(farm: Farm, chains: int) -> None:
    """Jobs of both sites by turns: one that floods is moved to its lane, and a move that is cut makes two of a job."""
    note, chain = ("note", {"seconds": SECONDS}), ("chain", {"notes": 2})
    jobs = ([chain] + [note] * (JOBS // chains)) * chains
    with connect(str(farm.config)) as queue:
        for first in range(0, len(jobs), 1000):
            sites = cycle(("alpha", "beta"))
            queue.enqueue_many([(next(sites), *job) for job in jobs[first : first + 1000]])


def deal(blows: Blows, every: int) -> None:
    """Hit now this, now that, each time that a further share of the jobs is done."""
    plan = [blows.kill_a_child, blows.kill_the_broker, blows.kill_a_child, blows.kill_the_parent] * BROKER_DEATHS
    for number, blow in enumerate(plan, 1):
        done = every * number // (len(plan) + 1)
        wait_until(lambda done=done: len(blows.farm.journal.handled()) >= done, 60, f"{done} jobs done")  # type: ignore[misc]
        blow()


def why(blows: Blows, runs: dict[str, list[Run]], run: Run, again: Run) -> str:
    """See :meth:`Blows.cause`; a follow-up also runs again because its parent did."""
    parents = runs.get(run.job.partition(".")[0], []) if "." in run.job else []
    parents = [parent for parent in parents if parent.started < again.started]
    if len(parents) > 1 and all(blows.cause(*pair) for pair in pairwise(parents)):
        return "its parent ran twice"
    return blows.cause(run, again)


def story(blows: Blows, run: Run, again: Run) -> tuple[object, ...]:
    """All that is known of a job that ran twice."""
    frames = blows.proxy.frames
    return run, again, frames.deliveries[run.job], frames.sendings[run.job]


def tell(blows: Blows, every: int) -> None:
    """Print what happened, and see to it that there is no part of it that nothing explains."""
    runs = blows.farm.journal.by_job()
    # Follow-ups derive their ids from their parent's, so that a repeated parent makes no further ones.
    assert len(runs) == every
    repeated = [(why(blows, runs, *pair), pair) for each in runs.values() for pair in pairwise(each)]
    causes = Counter(cause for cause, _ in repeated)
    twice = sum(1 for each in runs.values() if sum(run.ended is not None for run in each) > 1)
    print(f"{blows.broker.name}: {twice} of {every} jobs came to their end twice")  # noqa: T201
    print(f"  {len(blows.proxy.cuts)} cuts, {len(blows.killed)} kills, outages {blows.outages}")  # noqa: T201
    for cause, number in causes.most_common():
        print(f"  {number} repeated: {cause or 'UNEXPLAINED'}")  # noqa: T201
    assert [story(blows, *pair) for cause, pair in repeated if not cause] == [], blows.killed
    starts = [run.started for each in runs.values() for run in each]
    returns = [min(start for start in starts if start > back) - back for _, back in blows.outages]
    print(f"  seconds from the broker's return to the next job: {[round(each, 2) for each in returns]}")  # noqa: T201
    assert max(returns) < RETURN
