"""Where each job of a farm is in Redis, as snqd/stores/redis/lua/common.lua has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import redis


class Places:
    """A look at all keys of one farm.

    :ivar ids: of the jobs that have a record, by n.
    :ivar found: the keys under which each n is.
    """

    def __init__(self, port: int, prefix: str) -> None:
        with redis.Redis(port=port, protocol=2, decode_responses=True) as client:
            self.ids = {int(n): record.split()[0] for n, record in client.hgetall(f"{prefix}job").items()}
            self.found: dict[int, list[str]] = defaultdict(list)
            for key in client.scan_iter(match=f"{prefix}*", count=1000):
                for member in _members(client, key, key.removeprefix(prefix)):
                    self.found[int(member.split()[0])].append(key.removeprefix(prefix))

    def wrong(self) -> list[str]:
        """A line for each job that is not in exactly one place, or has no record."""
        return [self.line(n) for n in sorted({*self.ids, *self.found}) if n not in self.ids or len(self.found[n]) != 1]

    def of(self, ids: Collection[str]) -> list[str]:
        """A line for each of these jobs."""
        numbers = {job_id: n for n, job_id in self.ids.items()}
        return [self.line(numbers[each]) if each in numbers else f"{each}: no record" for each in sorted(ids)]

    def line(self, n: int) -> str:
        """What there is of one job."""
        return f"{n}: {self.ids.get(n, 'no record')}, in {' and '.join(self.found[n]) or 'no place'}"


def _members(client: redis.Redis, key: str, name: str) -> list[str]:
    if name.startswith("ready:"):
        return list(client.lrange(key, 0, -1))
    if name.startswith("back:") or name in ("due", "solo"):
        return list(client.zrange(key, 0, -1))
    return list(client.hkeys(key)) if name.startswith("hand:") else []
