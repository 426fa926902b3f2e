"""The door to the morgue, which is chosen apart from the store of the jobs."""

from __future__ import annotations

from snqd.config.settings import QueueSettings
from snqd.stores.morgue.morgue import Morgue, SqliteMorgue


def make_morgue(queue: QueueSettings) -> Morgue:
    """The morgue, in a file or on a server; not opened yet."""
    if queue.morgue_file is None:
        from snqd.stores.morgue.sql_morgue import SqlMorgue

        return SqlMorgue(queue.morgue)
    return SqliteMorgue(queue.morgue_file)
