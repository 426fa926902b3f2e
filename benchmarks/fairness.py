"""Fairness: a quiet site behind a flood, a hundred sites at once, the neighbours of a killer."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial

from benchmarks.figures import Figure, jain, percentile
from benchmarks.goals import GOALS
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.crew import Crew
from benchmarks.places import Place
from benchmarks.sheet import SERVICE, until
from benchmarks.yard import Yard
from snqd import connect

FLOOD = 50_000
QUIET_JOBS = 100
APART = 0.02


def quiet(place: Place) -> Iterator[Figure]:
    """Single jobs of one site while another has 50,000 jobs of 5 ms waiting in the same queue."""
    with Yard(place) as yard:
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
        with Crew(peer, place) as crew:
            crew.fill("wait", str(SERVICE), peer.number)
            crew.start()
            crew.send("stamps", APART, QUIET_JOBS)
            until(partial(_has, crew, QUIET_JOBS), "the last of the quiet site's jobs")
            theirs = percentile(crew.sheet.waits(), 95)
        yield Figure("beside", mine, "ms", peer.told, theirs, note=f"a flood of {peer.number:,}")


def _has(crew: Crew, number: int) -> bool:
    return len(crew.sheet.waits()) >= number


def hundred(place: Place) -> Iterator[Figure]:
    """100 sites with 200 to 2,180 jobs of 5 ms each: seconds served until the first has none left."""
    sites = [f"site{number:02}" for number in range(100)]
    with Yard(place, sites=sites) as yard:
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
    yield Figure("Jain's index of 100 sites' served seconds", jain(list(seconds.values())), "", goal="over 0.99")


def killer(place: Place) -> Iterator[Figure]:
    """The waits of others while a job kills its process again and again, beside those before it came."""
    with Yard(place, {"queue": {"max_retries": 3}}) as yard:
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


def _stamped(yard: Yard, queue: object, skip: int, seconds: float) -> list[float]:
    """Send single jobs for a while; the waits of all that were handled so far, but the first `skip`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        queue.enqueue("beta", "stamp", time.monotonic())  # type: ignore[attr-defined]
        time.sleep(0.005)
    return yard.sheet.waits()[skip:]
