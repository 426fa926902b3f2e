"""What Redis tells of itself."""

from __future__ import annotations

from collections.abc import Mapping


def info(reply: bytes) -> dict[str, str]:
    """The fields of an INFO reply."""
    lines = reply.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def is_full(told: Mapping[str, str]) -> bool:
    """Whether its memory takes no new jobs, by its INFO memory."""
    limit, used, apart = (int(told.get(name, 0)) for name in ("maxmemory", "used_memory", "mem_not_counted_for_evict"))
    return bool(limit) and used - apart > limit


def version_of(told: Mapping[str, str]) -> tuple[int, ...]:
    """Major and minor."""
    return tuple(int(part) for part in told.get("redis_version", "0").split(".")[:2])
