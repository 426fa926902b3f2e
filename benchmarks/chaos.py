"""Chaos: what kills cost, in jobs lost and jobs run twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from threading import Thread

import psutil

from benchmarks.farm import BenchmarkFarm
from benchmarks.figures import Figure
from benchmarks.places import Place
from snqd import connect

SECONDS = 60
JOBS = 21_000
KILL_EVERY = 0.5
PARENT_DIES_AT = (20, 40)
LONGEST = 600.0


def chaos(place: Place) -> Iterator[Figure]:
    """21,000 jobs of 5 ms fed for a minute, a child SIGKILLed every half second, the parent twice and started again."""
    with BenchmarkFarm(place, {"queue": {"max_retries": 50}, "snqd": {"drain_timeout": 5}}) as yard:
        yard.farm.start()
        feeder = Thread(target=_feed, args=(yard,))
        feeder.start()
        kills = _kill(yard)
        feeder.join()
        deadline = time.monotonic() + LONGEST
        while len(yard.farm.journal.handled()) < JOBS and time.monotonic() < deadline:
            time.sleep(0.5)
        took = time.monotonic() - deadline + LONGEST
        runs = yard.farm.journal.by_job()
        dead = len(yard.farm.dead())
    lost = JOBS - sum(any(run.ended is not None for run in each) for each in runs.values())
    repeated = [run for each in runs.values() for run in each[:-1]]
    unexcused = sum(not _excused(run, kills) for run in repeated)
    yield Figure("jobs lost", lost, f"of {JOBS:,}", goal="0", note=f"{len(kills)} kills, {dead} dead letters")
    yield Figure("runs beyond the first", len(repeated), "", note="their process was killed while they ran or settled")
    yield Figure("runs beyond the first without such a kill", unexcused, "", goal="0")
    yield Figure("all handled after the end of the feed", took, "s")


def _feed(yard: BenchmarkFarm) -> None:
    with connect(str(yard.farm.config)) as queue:
        started = time.monotonic()
        for number in range(JOBS):
            time.sleep(max(started + number * SECONDS / JOBS - time.monotonic(), 0))
            queue.enqueue("alpha" if number % 2 else "beta", "note", {"seconds": 0.005})


def _kill(yard: BenchmarkFarm) -> dict[int, float]:
    """Kill for as long as jobs are fed; returns when each process was killed."""
    random, killed = Random(20100117), {}
    started = time.monotonic()
    parents = list(PARENT_DIES_AT)
    while (now := time.monotonic() - started) < SECONDS:
        if parents and now >= parents[0]:
            parents.pop(0)
            victim = yard.farm.daemon.pid
            yard.farm.kill(victim)
            yard.farm.daemon.wait()
            killed[victim] = time.monotonic()
            yard.farm.start()
        elif children := psutil.Process(yard.farm.daemon.pid).children():
            victim = random.choice(children).pid
            yard.farm.kill(victim)
            killed[victim] = time.monotonic()
        time.sleep(KILL_EVERY)
    return killed


def _excused(run: object, killed: dict[int, float]) -> bool:
    at = killed.get(run.pid)  # type: ignore[attr-defined]
    ended = run.ended  # type: ignore[attr-defined]
    return at is not None and (ended is None or ended > at - 0.5)
