"""ForeignLists: lists that other programs fill, in the Redis of the store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from typing import Any

from snqd.core.job import Job
from snqd.stores.redis import scripts
from snqd.stores.redis.codec import encode, json_array

ITEMS_AT_ONCE = 200
"""Of one list."""
BYTES_AT_ONCE = 16 * 1024 * 1024


class ForeignLists:
    """Looks into lists and turns their first items into jobs of the store, in one step: whatever dies, and whoever else
    takes items, each one becomes one job.

    :param ask: runs a script.
    """

    def __init__(self, ask: Callable[..., Awaitable[Any]]) -> None:
        self._ask = ask

    async def look(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The first items of those of the lists that have any.

        :raises StoreError: where Redis does not take part.
        """
        found = await self._ask(scripts.LOOK, json.dumps(names), ITEMS_AT_ONCE, BYTES_AT_ONCE)
        lists: dict[str, list[bytes]] = {}
        for position, item in zip(found[::2], found[1::2], strict=True):
            lists.setdefault(names[position], []).append(item)
        return lists

    async def take(self, name: str, items: Sequence[tuple[bytes, Job | None]]) -> int:
        """Take the first items off a list, each with the job that it becomes, or None if it is dropped.

        :returns: how many of them were still there.

        :raises StoreError: where Redis does not take part.
        """
        words, records = [], []
        for item, job in items:
            digest = sha1(item).hexdigest()
            if job is None:
                words.append(f'["{digest}"]')
            else:
                head, record = encode(job)
                words.append(f'["{digest}",{head}]')
                records.append(record)
        return int(await self._ask(scripts.TAKE, name, json_array(words), b"".join(records)))
