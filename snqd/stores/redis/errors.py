"""What Redis answers when it does not take part, in words that say what to do."""

from __future__ import annotations

import re
from typing import NoReturn

from snqd.core.errors import StoreError, StoreUnavailable


class RedisConnectionLost(StoreUnavailable):
    """The connection to Redis was lost: what was under way may have been done, or not."""


_PASSING = {
    "OOM": "its memory is full (maxmemory): raise maxmemory, or let jobs be handled",
    "MISCONF": "it can't write to its disk, and refuses changes until it can: look into its log",
    "READONLY": "it is a read-only replica: name the master, or let Sentinel find it",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica without its master: name the master, or let Sentinel find it",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write wants",
    "BUSY": "a script of another program keeps it busy",
    "UNKILLABLE": "a script of another program keeps it busy",
    "TRYAGAIN": "its slots are being moved",
    "CLUSTERDOWN": "its cluster is down",
}
_LASTING = {
    "NOAUTH": "it wants a password: put it into [queue] redis",
    "WRONGPASS": "the user or password of [queue] redis is wrong: correct them",
    "NOPERM": "the user of [queue] redis lacks rights: allow it scripts, pub/sub and all keys below its prefix",
    "MOVED": "it is a node of a Redis Cluster, which snqd can't follow: name a Redis without cluster mode",
    "CROSSSLOT": "it is a node of a Redis Cluster, which snqd can't follow: name a Redis without cluster mode",
}
# Before Redis 7 what went wrong within a script is quoted behind the script's line.
_KIND = re.compile(rf"(?:^|[ -])({'|'.join([*_PASSING, *_LASTING])})\b")


def store_error(where: str, text: str) -> StoreError:
    """What Redis's error reply means.

    :param where: the server, as messages name it.
    """
    found = _KIND.search(text)
    kind = found[1] if found else ""
    if kind in _PASSING:
        return StoreUnavailable(f"Redis at {where} refuses: {_PASSING[kind]} ({text})")
    if kind in _LASTING:
        return StoreError(f"Redis at {where} refuses: {_LASTING[kind]} ({text})")
    if "max number of clients" in text:
        return StoreUnavailable(f"Redis at {where} refuses: it has no room for more connections: raise maxclients")
    if "can't run this command" in text or "can't access" in text:  # from within a script
        return StoreError(f"Redis at {where} refuses: {_LASTING['NOPERM']} ({text})")
    if re.search("invalid password|without any password|arguments for 'auth'", text):
        return StoreError(f"Redis at {where} refuses: {_LASTING['WRONGPASS']} ({text})")
    return StoreError(f"Redis at {where} fails: {text}")


def not_finished(failure: object, timeout: float) -> NoReturn:
    """For a Deferred's timeout: what was to be settled is not known to be durable.

    :raises StoreUnavailable: in any case.
    """
    raise StoreUnavailable(f"Redis did not confirm the remaining settlements within {timeout:g} seconds of closing")


def not_taken(patience: float, trouble: str | None) -> StoreUnavailable:
    """Jobs were offered for `patience` seconds.

    :param trouble: what is known of the connection.
    """
    why = trouble or "it has not answered"
    return StoreUnavailable(f"Redis has not taken the jobs within {patience:g} seconds: {why}")
