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


def procrastinate(number: int, at_once: int = 1) -> Peer:
    """Two of its workers."""
    options = ("--log-level", "warning", "worker", "--concurrency", str(at_once), "--queues", "NAME")
    command = ("procrastinate", "--app", f"{JOBS}procrastinate_jobs.app", *options)
    return Peer("Procrastinate", "procrastinate_jobs", (command,) * 2, number, f"2 processes, {at_once} at once")


def celery(number: int, threads: int = 0) -> Peer:
    """Two processes: the usual children of one worker, or two workers with threads."""
    command = ("celery", "--app", f"{JOBS}celery_jobs", "worker", "-O", "fair", "--loglevel", "warning")
    if not threads:
        forked = (*command, "--concurrency", "2")
        return Peer("Celery", "celery_jobs", (forked,), number, "2 processes, prefork")
    threaded = (*command, "--pool", "threads", "--concurrency", str(threads), "--hostname")
    workers = ((*threaded, "one@%h"), (*threaded, "two@%h"))
    return Peer("Celery", "celery_jobs", workers, number, f"2 processes, {threads} threads each")


def bare_stomp(number: int) -> Peer:
    """Two sockets."""
    command = ("python", "-m", f"{JOBS}bare_stomp")
    note = "2 processes, an ACK a message, prefetch 500"
    return Peer("bare STOMP socket", "bare_stomp", (command,) * 2, number, note, protocol="stomp")


def bare(name: str, module: str, number: int, at_once: int) -> Peer:
    """Two processes that do nothing but take and settle jobs, `at_once` in one transaction."""
    command = ("python", "-m", JOBS + module)
    return Peer(name, module, (command,) * 2, number, f"2 processes, {at_once} a transaction", at_once)


def bare_trips(module: str) -> Peer:
    """One process that makes the round trips of a job: what is left of a latency is the server's and the machine's."""
    return Peer("bare round trips", module, (("python", "-m", JOBS + module),), 500, "1 process, no framework")


def skip_locked(number: int, at_once: int) -> Peer:
    """The loop that everybody writes."""
    return bare("bare SKIP LOCKED loop", "skip_locked", number, at_once)


@attrs.frozen
class Beside:
    """Who runs beside snqd in each measurement."""

    noop: tuple[Peer, ...] = ()
    waiting: tuple[Peer, ...] = ()
    latency: tuple[Peer, ...] = ()
    quiet: tuple[Peer, ...] = ()


PEERS = {
    "sqlite": Beside(
        noop=(huey(10_000), bare("bare SQLite", "bare_sqlite", 50_000, at_once=100)),
        latency=(huey(100),),
    ),
    "redis": Beside(
        noop=(dramatiq(20_000), arq(5_000, at_once=250), rq(200)),
        waiting=(dramatiq(20_000, threads=64), arq(3_000, at_once=250)),
        latency=(bare_trips("bare_redis"), dramatiq(300), arq(300), rq(50)),
        quiet=(dramatiq(20_000, threads=64),),
    ),
    "postgresql": Beside(
        noop=(procrastinate(3_000), skip_locked(5_000, at_once=1), skip_locked(50_000, at_once=100)),
        waiting=(procrastinate(3_000, at_once=100),),
        latency=(bare_trips("bare_postgresql"), procrastinate(300)),
    ),
    "rabbitmq": Beside(
        noop=(dramatiq(30_000), celery(10_000), bare_stomp(50_000)),
        waiting=(dramatiq(30_000, threads=64), celery(10_000, threads=64)),
        latency=(dramatiq(300), celery(300)),
        quiet=(dramatiq(20_000, threads=64),),
    ),
    "activemq": Beside(noop=(bare_stomp(50_000),)),
    "mariadb": Beside(noop=(skip_locked(5_000, at_once=1), skip_locked(50_000, at_once=100))),
}
