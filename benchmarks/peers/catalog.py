"""The peers of each store, set as their documentation advises for production."""

from __future__ import annotations

import attrs

from benchmarks.peers.crew import Peer

JOBS = "benchmarks.peers."


def dramatiq(number: int, threads: int = 8) -> Peer:
    """Its command starts both processes."""
    command = ("dramatiq", "--processes", "2", "--threads", str(threads), f"{JOBS}dramatiq_jobs")
    return Peer("Dramatiq", "dramatiq_jobs", (command,), number, f"2 processes, {threads} threads each")


def arq(number: int, at_once: int = 10) -> Peer:
    """Two of its workers."""
    command = ("arq", f"{JOBS}arq_jobs.Worker", "--custom-log-dict", f"{JOBS}arq_jobs.LOGGING")
    return Peer("arq", "arq_jobs", (command,) * 2, number, f"2 processes, {at_once} at once", at_once)


def rq(number: int) -> Peer:
    """Two of its workers, each of which forks for each job."""
    command = ("rq", "worker", "--quiet", "--url", "URL", "NAME")
    return Peer("RQ", "rq_jobs", (command,) * 2, number, "2 workers that fork")


def huey(number: int) -> Peer:
    """One consumer, two workers."""
    command = ("huey_consumer", f"{JOBS}huey_jobs.huey", "--workers", "2", "--worker-type", "process", "--quiet")
    return Peer("Huey", "huey_jobs", (command,), number, "2 processes, fsync")


def bare(name: str, module: str, number: int, *words: str) -> Peer:
    """Two processes that do nothing but take and settle jobs."""
    command = ("python", "-m", JOBS + module, *words)
    return Peer(name, module, (command,) * 2, number, "2 processes")


@attrs.frozen
class Beside:
    """Who runs beside snqd in each measurement."""

    noop: tuple[Peer, ...] = ()
    waiting: tuple[Peer, ...] = ()
    latency: tuple[Peer, ...] = ()
    quiet: tuple[Peer, ...] = ()


PEERS = {
    "sqlite": Beside(
        noop=(huey(10_000), bare("bare SQLite, 100 a transaction", "bare_sqlite", 50_000)),
        latency=(huey(100),),
    ),
    "redis": Beside(
        noop=(dramatiq(20_000), arq(5_000), rq(200)),
        waiting=(dramatiq(20_000, threads=64), arq(5_000, at_once=250)),
        latency=(dramatiq(300), arq(300), rq(50)),
        quiet=(dramatiq(20_000, threads=64),),
    ),
}
