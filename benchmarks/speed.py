"""Speed: draining, enqueuing, waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import peers
from benchmarks.figures import Figure, median, percentile
from benchmarks.yard import Yard
from snqd import connect

NOOPS = 50_000
ROUNDS = 3


def noop() -> Iterator[Figure]:
    """50,000 jobs that do nothing, two children, every settlement on disk."""
    rates = []
    for _ in range(ROUNDS):
        with Yard() as yard:
            yard.fill("noop", NOOPS)
            yard.farm.start()
            rates.append(yard.drain_rate(NOOPS))
    huey, _ = peers.huey_sqlite(rounds=1)
    yield Figure("no-op drain, 2 children", median(rates), "jobs/s", "Huey SQLite, fsync", huey, "15,000")
    bare = median([peers.bare_sqlite() for _ in range(ROUNDS)])
    yield Figure("the same", median(rates), "jobs/s", "bare SQLite, 2 processes", bare)


def waiting() -> Iterator[Figure]:
    """50,000 jobs that wait 20 ms, with 250 at once in each of two children."""
    rates = []
    for _ in range(ROUNDS):
        with Yard({"queue": {"concurrency": 250}}) as yard:
            yard.fill("wait", NOOPS, b"0.02")
            yard.farm.start()
            rates.append(yard.drain_rate(NOOPS))
    bound = 2 * 250 / 0.02
    yield Figure("20 ms jobs, 2 x 250 at once", median(rates), "jobs/s", "all slots always full", bound, "11,000")


def enqueue() -> Iterator[Figure]:
    """100,000 lines through `snqctl enqueue SITE QUEUE -`."""
    lines = "".join(f'{{"image": {number}, "size": "large"}}\n' for number in range(100_000))
    rates, bare = [], []
    for _ in range(ROUNDS):
        with Yard() as yard:
            started = time.monotonic()
            yard.farm.enqueue("alpha", "noop", "-", input=lines)
            rates.append(100_000 / (time.monotonic() - started))
            bare.append(yard.fill("noop", 100_000, b'{"image": 1, "size": "large"}'))
    yield Figure(
        "enqueue by snqctl, from its start to its end", median(rates), "jobs/s", "the same store, no parsing",
        median(bare), "20,000",
    )  # fmt: skip


def latency() -> Iterator[Figure]:
    """Single jobs by `snqd.connect` while nothing else is to be done, 10 ms apart."""
    with Yard() as yard:
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(1000):
                queue.enqueue("alpha", "stamp", time.monotonic())
                time.sleep(0.01)
        _until(lambda: yard.handled() >= 1000)
        waits = [float(line.split()[1]) * 1000 for line in yard.stamps.read_text().splitlines()]
    _, theirs = peers.huey_sqlite(jobs=10)
    for percent, goal in ((50, "under 1"), (99, "under 3")):
        peer = percentile(theirs, percent) * 1000
        yield Figure(f"idle latency p{percent}", percentile(waits, percent), "ms", "Huey SQLite", peer, goal)


def backlog() -> Iterator[Figure]:
    """The rate with 1,000,000 jobs waiting beside that with 10,000 more than are drained."""
    rates: dict[int, list[float]] = {10_000: [], 1_000_000: []}
    for _ in range(ROUNDS):
        for number, measured in rates.items():
            with Yard() as yard:
                yard.fill("noop", number + NOOPS)
                yard.farm.start()
                measured.append(yard.drain_rate(NOOPS))
    few, many = (median(measured) for measured in rates.values())
    yield Figure("no-op drain, 1,000,000 waiting", many, "jobs/s", "10,000 waiting", few, "ratio 0.9")


def _until(condition: object, longest: float = 60.0) -> None:
    deadline = time.monotonic() + longest
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "that takes too long"
        time.sleep(0.02)
