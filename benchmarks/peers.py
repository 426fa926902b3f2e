"""What snqd is measured beside: Huey on SQLite, SQLite alone, a bare reactor."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_HUEY = """
import json, sys, time, threading
from huey import SqliteHuey
from huey.consumer import Consumer

number, rounds, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
huey = SqliteHuey(filename=path, fsync=True, results=False)
done, waits = threading.Semaphore(0), []

@huey.task()
def noop(sent):
    waits.append(time.monotonic() - sent)
    done.release()

for _ in range(number):
    noop(time.monotonic())
consumer = Consumer(huey, workers=2, periodic=False)
started = time.monotonic()
consumer.start()
for _ in range(number):
    done.acquire()
rate = number / (time.monotonic() - started)
waits.clear()
for _ in range(rounds):
    time.sleep(0.02)
    noop(time.monotonic())
    done.acquire()
print(json.dumps([rate, waits]))
consumer.stop(graceful=False)
"""

_REACTOR = """
from twisted.internet import reactor
import psutil
reactor.callLater(0.5, lambda: (print(psutil.Process().memory_info().rss), reactor.stop()))
reactor.run()
"""


def huey_sqlite(jobs: int = 5000, rounds: int = 200) -> tuple[float, list[float]]:
    """Huey's SQLite storage, one process with two workers, synchronous FULL: no-op jobs a second, and the seconds that
    single jobs waited while it was idle."""
    with tempfile.TemporaryDirectory(prefix="snqd-benchmark-") as folder:
        command = [sys.executable, "-c", _HUEY, str(jobs), str(rounds), str(Path(folder) / "huey.db")]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    rate, waits = json.loads(answer.stdout.splitlines()[-1])
    return rate, waits


def bare_reactor_bytes() -> int:
    """Resident memory of a process that runs a reactor and nothing else."""
    answer = subprocess.run([sys.executable, "-c", _REACTOR], check=True, capture_output=True, text=True, timeout=60)
    return int(answer.stdout)


def bare_sqlite(jobs: int = 50_000, batch: int = 100) -> float:
    """Two processes that claim and delete rows in fsynced transactions, and do nothing else: jobs a second."""
    import sqlite3

    with tempfile.TemporaryDirectory(prefix="snqd-benchmark-") as folder:
        path = os.path.join(folder, "bare.db")
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE job (n INTEGER PRIMARY KEY, site TEXT, owner INTEGER DEFAULT 0, body BLOB)")
        connection.execute("CREATE INDEX ready ON job (site, n) WHERE owner = 0")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO job (site, body) VALUES ('alpha', ?)", [(b"null",)] * jobs)
        connection.execute("COMMIT")
        connection.close()
        started = time.monotonic()
        processes = [multiprocessing.Process(target=_drain, args=(path, batch)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return jobs / (time.monotonic() - started)


def _drain(path: str, batch: int) -> None:
    import random
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute("PRAGMA synchronous=FULL")
    mine = os.getpid()
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            time.sleep(random.uniform(0.0001, 0.001))
            continue
        connection.execute("DELETE FROM job WHERE owner = ?", (mine,))
        claim = "UPDATE job SET owner = ? WHERE n IN (SELECT n FROM job WHERE owner = 0 ORDER BY site, n LIMIT ?)"
        taken = connection.execute(claim + " RETURNING n, body", (mine, batch)).fetchall()
        connection.execute("COMMIT")
        if not taken:
            return
