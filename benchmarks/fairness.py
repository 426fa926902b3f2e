"""Fairness: a quiet site behind a flood, a hundred sites at once, the neighbours of a killer."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from benchmarks.figures import Figure, jain, percentile
from benchmarks.yard import Yard
from snqd import connect

FLOOD = 50_000


def quiet() -> Iterator[Figure]:
    """Single jobs of one site while another has 50,000 jobs of 5 ms waiting in the same queue."""
    with Yard(sites=("alpha", "beta")) as yard:
        yard.fill("serve", FLOOD)
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(100):
                queue.enqueue("beta", "stamp", time.monotonic())
                time.sleep(0.02)
        still_waiting = FLOOD - yard.handled()
        waits = [line.split() for line in yard.stamps.read_text().splitlines()]
    assert still_waiting > 0, "the flood was over too early"
    mine = [float(line[1]) * 1000 for line in waits if len(line) == 2]
    note = f"{still_waiting:,} of the flood still waiting"
    yield Figure("wait of a quiet site's job, p95", percentile(mine, 95), "ms", goal="under 100", note=note)


def hundred() -> Iterator[Figure]:
    """100 sites with 200 to 2,180 jobs of 5 ms each: seconds served until the first has none left."""
    sites = [f"site{number:02}" for number in range(100)]
    with Yard(sites=sites) as yard:
        for number, site in enumerate(sites):
            yard.fill("serve", 200 + 20 * number, site=site)
        total = sum(200 + 20 * number for number in range(100))
        yard.farm.start()
        yard.drain_rate(total)
        runs = sorted((line.split() for line in yard.stamps.read_text().splitlines()), key=lambda run: float(run[1]))
    counted: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for site, _, took in runs:
        counted[site] += 1
        seconds[site] += float(took)
        if site == "site00" and counted[site] == 200:
            break
    yield Figure("Jain's index of 100 sites' served seconds", jain(list(seconds.values())), "", goal="over 0.99")


def killer() -> Iterator[Figure]:
    """The waits of others while a job kills its process again and again, beside those before it came."""
    with Yard({"queue": {"max_retries": 3}}) as yard:
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
    return [float(line.split()[1]) * 1000 for line in yard.stamps.read_text().splitlines()][skip:]
