"""Memory: of a child at rest, and after many jobs."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers
from benchmarks.figures import Figure
from benchmarks.yard import Yard

MB = 1_000_000


def memory() -> Iterator[Figure]:
    """A child at rest, after 100,000 jobs and after 1,000,000."""
    bare = peers.bare_reactor_bytes() / MB
    with Yard({"snqd": {"threads": 1}}) as yard:
        yard.farm.start()
        yield Figure("a child at rest", max(yard.child_memory()) / MB, "MB", "bare reactor", bare, "55")
        yard.fill("noop", 100_000)
        yard.drain_rate(100_000)
        early = max(yard.child_memory()) / MB
        yard.fill("noop", 900_000)
        yard.drain_rate(1_000_000)
        late = max(yard.child_memory()) / MB
    yield Figure("a child after 1,000,000 jobs", late, "MB", "after 100,000", early, "ratio 1.1")
