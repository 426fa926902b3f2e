"""Fairness: a quiet site behind a flood, a hundred sites at once, the neighbours of a killer."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial

from benchmarks.farm import BenchmarkFarm
from benchmarks.figures import Figure, jain, median, percentile
from benchmarks.goals import GOALS
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.crew import Crew, beside, tried
from benchmarks.places import Place
from benchmarks.sheet import SERVICE, until
from snqd import connect

FLOOD = 50_000
QUIET_JOBS = 100
FEW = 20
APART = 0.02
ROUNDS = 3


def quiet(place: Place) -> Iterator[Figure]:
    """Single jobs of one site while another has 50,000 jobs of 5 ms waiting in the same queue."""
    with BenchmarkFarm(place) as yard:
        yard.fill("stamp", FLOOD)
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(QUIET_JOBS):
                queue.enqueue("beta", "stamp", time.monotonic())
                time.sleep(APART)
        until(lambda: len(yard.sheet.waits()) >= QUIET_JOBS, "the last of the quiet site's jobs")
        left, mine = FLOOD - yard.sheet.done(), percentile(yard.sheet.waits(), 95)
    goal = GOALS.get((place.name, "quiet"), "under 100")
    yield Figure("wait of a quiet site's job, p95", mine, "ms", goal=goal, note=f"{left:,} of the flood left")
    for peer in PEERS[place.name].quiet:
        theirs = tried(peer, place, partial(_behind_flood, peer.number))
        at = partial(percentile, percent=95)
        yield beside("beside", mine, "ms", peer, theirs, at, f"a flood of {peer.number:,}")


def _behind_flood(number: int, crew: Crew) -> list[float]:
    crew.fill("wait", str(SERVICE), number)
    crew.start()
    crew.send("stamps", APART, QUIET_JOBS)
    until(lambda: len(crew.sheet.waits()) >= QUIET_JOBS, "the last of the quiet site's jobs")
    return crew.sheet.waits()


def flood(place: Place) -> Iterator[Figure]:
    """20 jobs of one site behind another's 50,000 of 5 ms in two children with few slots; 20 more afterwards."""
    few = {"queue": {"concurrency": place.slots}}
    with BenchmarkFarm(place, few) as yard:
        yard.fill("stamp", FLOOD)
        yard.start()
        alone = yard.sheet.rate(FLOOD, warm_up=0.0)  # as it is timed below
    with BenchmarkFarm(place, few) as yard:
        yard.fill("stamp", FLOOD)
        _stamp(yard)
        yard.start()
        until(lambda: yard.sheet.done() > 0, "the first job")
        started, first = time.monotonic(), yard.sheet.done()
        until(lambda: len(yard.sheet.waits()) >= FEW, "the last of the quiet site's first jobs")
        sifted, left = time.monotonic() - started, FLOOD - yard.sheet.done()
        _stamp(yard)
        until(lambda: len(yard.sheet.waits()) >= 2 * FEW, "the last of the quiet site's later jobs")
        later, left_later = percentile(yard.sheet.waits()[FEW:], 95), FLOOD - yard.sheet.done()
        until(lambda: yard.sheet.done() >= FLOOD, "the last of the flood")
        beside = (FLOOD - first) / (time.monotonic() - started)
    yield Figure("until the last of the quiet site's jobs", sifted * 1000, "ms", goal="under 5,000", note=_left(left))
    yield Figure("their wait afterwards, p95", later, "ms", goal="under 200", note=_left(left_later))
    yield Figure("the flood's rate beside them", beside, "jobs/s", "alone", alone, "ratio 0.9")


def _left(number: int) -> str:
    return f"{number:,} of the flood left"


def _stamp(yard: BenchmarkFarm) -> None:
    with connect(str(yard.farm.config)) as queue:
        for _ in range(FEW):
            queue.enqueue("beta", "stamp", time.monotonic())
            time.sleep(APART)


def hundred(place: Place) -> Iterator[Figure]:
    """100 sites with 200 to 2,180 jobs of 5 ms each: seconds served until the first has none left; median of three."""
    indexes = [jain(_served(place)) for _ in range(ROUNDS)]
    spread = f"{min(indexes):.4f} to {max(indexes):.4f}"
    yield Figure("Jain's index of 100 sites' served seconds", median(indexes), "", goal="over 0.99", note=spread)


def _served(place: Place) -> list[float]:
    """Each site's seconds."""
    sites = [f"site{number:02}" for number in range(100)]
    with BenchmarkFarm(place, sites=sites) as yard:
        for number, site in enumerate(sites):
            yard.fill("serve", 200 + 20 * number, site=site)
        total = sum(200 + 20 * number for number in range(100))
        yard.farm.start()
        yard.settled(total)
        runs = sorted((line.split() for line in yard.runs.read_text().splitlines()), key=lambda run: float(run[1]))
    counted: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for site, _, took in runs:
        counted[site] += 1
        seconds[site] += float(took)
        if site == "site00" and counted[site] == 200:
            break
    return list(seconds.values())


def killer(place: Place) -> Iterator[Figure]:
    """The waits of others while a job kills its process again and again, beside those before it came."""
    with BenchmarkFarm(place, {"queue": {"max_retries": 3}}) as yard:
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            before = _stamped(yard, queue, 0, 3.0)
            queue.enqueue("alpha", "kill", None)
            deadline, waits = time.monotonic() + 60, []
            while not yard.farm.dead() and time.monotonic() < deadline:
                waits = _stamped(yard, queue, len(before), 1.0)
        letters = yard.farm.dead()
    assert [letter["queue"] for letter in letters] == ["kill"], letters
    yield Figure(
        "others' wait while a job kills its process, p99", percentile(waits, 99), "ms", "before it came",
        percentile(before, 99), note=letters[0]["reason"],
    )  # fmt: skip


def _stamped(yard: BenchmarkFarm, queue: object, skip: int, seconds: float) -> list[float]:
    """Send single jobs for a while; the waits of all that were handled so far, but the first `skip`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        queue.enqueue("beta", "stamp", time.monotonic())  # type: ignore[attr-defined]
        time.sleep(0.005)
    return yard.sheet.waits()[skip:]
