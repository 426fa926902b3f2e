"""Memory: of a child at rest, and after many jobs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.farm import BenchmarkFarm
from benchmarks.figures import Figure
from benchmarks.places import Place

MB = 1_000_000
_REACTOR = """
from twisted.internet import reactor
import psutil
reactor.callLater(0.5, lambda: (print(psutil.Process().memory_info().rss), reactor.stop()))
reactor.run()
"""


def memory(place: Place) -> Iterator[Figure]:
    """A child at rest, after 100,000 jobs and after 1,000,000."""
    bare = _bare_reactor_bytes() / MB
    with BenchmarkFarm(place, {"snqd": {"threads": 1}}) as yard:
        yard.farm.start()
        yield Figure("a child at rest", max(yard.child_memory()) / MB, "MB", "bare reactor", bare, "55")
        yard.fill("noop", 100_000)
        yard.settled(100_000)
        early = max(yard.child_memory()) / MB
        yard.fill("noop", 900_000)
        yard.settled(1_000_000)
        late = max(yard.child_memory()) / MB
    yield Figure("a child after 1,000,000 jobs", late, "MB", "after 100,000", early, "ratio 1.1")


def _bare_reactor_bytes() -> int:
    """Resident memory of a process that runs a reactor and nothing else."""
    answer = subprocess.run([sys.executable, "-c", _REACTOR], check=True, capture_output=True, text=True, timeout=60)
    return int(answer.stdout)
