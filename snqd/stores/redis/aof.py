"""AofRenewal: once for each start of Redis, before snqd's first change, Redis begins a new append-only file (AOF).

A kill of Redis may tear the MULTI ... EXEC of a script in the middle of a command. The next start cuts that command off
and leaves the open MULTI (a defect of Redis, mended in Valkey by its pull request 4342): the start after that takes
what was torn, and what was written since, for one transaction. A rewrite of the file leaves the MULTI behind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis import scripts
from snqd.stores.redis.info import info, version_of
from snqd.stores.redis.names import renewed_key

LOOK_EVERY = 0.05
"""Seconds between looks whether a rewrite has come so far."""
NEW_FILE_AT_ONCE = (7, 0)
"""Since this version Redis writes to a new file as soon as a rewrite begins, before that once it has ended."""

Step = tuple[Any, ...] | float
"""A command to Redis, or seconds to wait."""


class AofRenewal:
    """Decides what one process asks of Redis at a new connection; whoever holds the connection does it.

    :param patience: seconds to wait, at most, for a rewrite to come so far that snqd may write.
    :param tell: called with what a person should know of a rewrite that failed, which then nobody tries again until
        Redis starts anew; None for a process that has nobody to tell, and leaves the next try to others.
    """

    def __init__(self, prefix: str, patience: float, tell: Callable[[str], object] | None) -> None:
        self._prefix = prefix
        self._looks = int(patience / LOOK_EVERY)
        self._tell = tell
        self._seen = ""

    def steps(self, told: Mapping[str, str]) -> Generator[Step, Any, None]:
        """What to do, in turn. Each step is answered with Redis's reply (None after a wait) or, thrown, its StoreError.

        :param told: the fields of the connection's INFO.
        :raises StoreError: where a step other than the rewrite is refused.
        """
        run_id = told.get("run_id", "")
        if told.get("aof_enabled") != "1" or run_id == self._seen:
            return
        if (yield ("GET", renewed_key(self._prefix))) == run_id.encode():
            self._seen = run_id
            return
        problem = yield from self._renew(version_of(told))
        # Before the last step, which may fail: each rewrite leaves a file behind, so there is one try.
        self._seen = run_id
        if problem:
            if self._tell is None:
                return
            self._tell(_risk(problem))
        yield ("EVAL", scripts.RENEWED.text, 1, self._prefix, run_id)

    def _renew(self, version: tuple[int, ...]) -> Generator[Step, Any, str]:
        try:
            yield ("BGREWRITEAOF",)
        except StoreUnavailable:
            raise
        except StoreError as error:
            if "already in progress" not in str(error):  # in progress is as well: that one began after Redis's start
                return str(error)
        for _ in range(self._looks + 1):
            told = info((yield ("INFO", "persistence")))
            if _come_so_far(told, version):
                return _outcome(told, version)
            yield LOOK_EVERY
        return f"it takes longer than {self._looks * LOOK_EVERY:g} s"


def _come_so_far(told: Mapping[str, str], version: tuple[int, ...]) -> bool:
    """Whether what is written from now on goes to the new file."""
    waits = told.get("aof_rewrite_scheduled") == "1"  # for a snapshot's end
    return not waits and (version >= NEW_FILE_AT_ONCE or told.get("aof_rewrite_in_progress") != "1")


def _outcome(told: Mapping[str, str], version: tuple[int, ...]) -> str:
    if version >= NEW_FILE_AT_ONCE or told.get("aof_last_bgrewrite_status") == "ok":
        return ""
    return "it failed, and Redis's log says why"


def _risk(why: str) -> str:
    return (
        f"its append-only file could not be rewritten before the first change since its start: {why}. If Redis was "
        "killed before that start, its next start may undo or repeat what is done by then: jobs are lost, or run again."
        " Call BGREWRITEAOF now, and let the user of [queue] redis do so; "
        "else run redis-check-aof --fix after each crash, before Redis starts"
    )
