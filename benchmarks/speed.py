"""Speed: draining, enqueuing, waiting, on one store, with its peers in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.disk import sync_waits
from benchmarks.farm import BenchmarkFarm
from benchmarks.figures import Figure, median, percentile
from benchmarks.goals import GOALS
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.crew import Crew, Peer, beside, tried
from benchmarks.places import Place
from benchmarks.sheet import LONGEST, until
from snqd import connect

NOOPS = 50_000
LINES = 100_000
SINGLES = 2_000
STAMPS = 1_000
APART = 0.01
AT_ONCE = 250
ROUNDS = 3


def noop(place: Place) -> Iterator[Figure]:
    """50,000 jobs that do nothing, two children, every settlement confirmed by the store."""
    yield from _drained(place, "noop", "null", {}, PEERS[place.name].noop, "no-op drain, 2 children")


def waiting(place: Place) -> Iterator[Figure]:
    """50,000 jobs that wait 20 ms, with 250 at once in each of two children."""
    several = {"queue": {"concurrency": AT_ONCE}}
    name = f"20 ms jobs, 2 x {AT_ONCE} at once"
    figures = list(_drained(place, "wait", "0.02", several, PEERS[place.name].waiting, name))
    yield from figures
    yield Figure("beside", figures[0].value, "jobs/s", "all slots always full", 2 * AT_ONCE / 0.02)


def _drained(
    place: Place, task: str, argument: str, sections: dict[str, dict[str, object]], peers: Sequence[Peer], name: str
) -> Iterator[Figure]:
    rates: list[float] = []
    theirs: dict[Peer, list[float]] = {peer: [] for peer in peers}
    for _ in range(ROUNDS):
        with BenchmarkFarm(place, sections) as yard:
            yard.fill(task, NOOPS, argument.encode())
            yard.start()
            rates.append(yard.sheet.rate(NOOPS))
        for peer, measured in theirs.items():
            measured += tried(peer, place, partial(_drain, task, argument, peer.number))
    goal = GOALS.get((place.name, task), "")
    yield Figure(name, median(rates), "jobs/s", goal=goal, note=_spread(rates))
    for peer, measured in theirs.items():
        note = f"{peer.number:,} jobs; {_spread(measured)}"
        yield beside("beside", median(rates), "jobs/s", peer, measured, median, note)


def _drain(task: str, argument: str, number: int, crew: Crew) -> list[float]:
    crew.fill(task, argument, number)
    crew.start()
    return [crew.sheet.rate(number)]


def enqueue(place: Place) -> Iterator[Figure]:
    """100,000 lines through `snqctl enqueue SITE QUEUE -`; then single jobs, each durable before the next is sent."""
    lines = "".join(f'{{"image": {number}, "size": "large"}}\n' for number in range(LINES))
    rates, bare, single = [], [], []
    peers = PEERS[place.name].latency
    theirs: dict[Peer, list[float]] = {peer: [] for peer in peers}
    for _ in range(ROUNDS):
        with BenchmarkFarm(place) as yard:
            started = time.monotonic()
            answer = yard.farm.snqctl("enqueue", "alpha", "noop", "-", input=lines, timeout=LONGEST)
            assert answer.returncode == 0, answer.stderr
            rates.append(LINES / (time.monotonic() - started))
            bare.append(yard.fill("noop", LINES, b'{"image": 1, "size": "large"}'))
            single.append(_singles(yard))
        for peer, measured in theirs.items():
            measured += tried(peer, place, lambda crew: [crew.send("each", SINGLES)])
    goal = GOALS.get((place.name, "enqueue"), "")
    yield Figure(
        "enqueue by snqctl, from its start to its end", median(rates), "jobs/s", "the same store, no parsing",
        median(bare), goal, _spread(rates),
    )  # fmt: skip
    yield Figure("snqd.connect, job by job", median(single), "jobs/s", note=_spread(single))
    for peer, measured in theirs.items():
        yield beside("beside its client", median(single), "jobs/s", peer, measured, median, _spread(measured))


def _singles(yard: BenchmarkFarm) -> float:
    with connect(str(yard.farm.config)) as queue:
        queue.enqueue("alpha", "noop", None)
        started = time.monotonic()
        for _ in range(SINGLES):
            queue.enqueue("alpha", "noop", None)
        return SINGLES / (time.monotonic() - started)


def latency(place: Place) -> Iterator[Figure]:
    """Single jobs by `snqd.connect` while nothing else is to be done, 10 ms apart."""
    with BenchmarkFarm(place) as yard:
        yard.farm.start()
        with connect(str(yard.farm.config)) as queue:
            for _ in range(STAMPS):
                queue.enqueue("alpha", "stamp", time.monotonic())
                time.sleep(APART)
        until(lambda: len(yard.sheet.waits()) >= STAMPS, "the last job")
        mine = yard.sheet.waits()
    bare = sync_waits(place.folder, STAMPS, APART)
    for percent, goal in ((50, "under 1"), (99, "under 3")):
        disk = percentile(bare, percent)
        yield Figure(f"idle latency p{percent}", percentile(mine, percent), "ms", "one fdatasync", disk, goal)
    for peer in PEERS[place.name].latency:
        theirs = tried(peer, place, partial(_waits, peer.number))
        for percent in (50, 99):
            own, at = percentile(mine, percent), partial(percentile, percent=percent)
            yield beside(f"beside, p{percent}", own, "ms", peer, theirs, at, f"{peer.number} jobs")


def _waits(number: int, crew: Crew) -> list[float]:
    crew.send("stamps", 0, 1)  # when it has come the workers are up
    crew.start()
    until(lambda: bool(crew.sheet.waits()), "the first job")
    crew.send("stamps", APART, number)
    until(lambda: len(crew.sheet.waits()) > number, "the last job")
    return crew.sheet.waits()[1:]


def backlog(place: Place) -> Iterator[Figure]:
    """The rate with 1,000,000 jobs waiting beside that with 10,000 more than are drained."""
    rates: dict[int, list[float]] = {10_000: [], 1_000_000: []}
    for _ in range(ROUNDS):
        for number, measured in rates.items():
            with BenchmarkFarm(place) as yard:
                yard.fill("noop", number + NOOPS)
                yard.start()
                measured.append(yard.sheet.rate(NOOPS))
    few, many = (median(measured) for measured in rates.values())
    yield Figure("no-op drain, 1,000,000 waiting", many, "jobs/s", "10,000 waiting", few, "ratio 0.9")


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):,.0f} to {max(values):,.0f}" if values else ""
