"""Logging in to Redis, and looking whether it is one to which jobs may be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.config.redis_address import RedisAddress
from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.aof import AofRenewal, Step
from snqd.stores.redis.connection import RedisConnection
from snqd.stores.redis.errors import RedisConnectionLost
from snqd.stores.redis.info import info, version_of

OLDEST = (6, 0)

log = Logger()


async def log_in(connection: RedisConnection, address: RedisAddress) -> None:
    """Authenticate and choose the database.

    :raises StoreError: if Redis refuses.
    """
    if address.password:
        user = [address.username] if address.username else []
        await connection.command("AUTH", *user, address.password)
    if address.db:
        await connection.command("SELECT", address.db)


async def check_server(connection: RedisConnection) -> dict[str, str]:
    """What the server tells of itself, if it is one that snqd can work on.

    :raises StoreError: if it is too old or part of a cluster, and StoreUnavailable if it is a replica.
    """
    told = info(await connection.command("INFO"))
    if version_of(told) < OLDEST:
        version = told.get("redis_version")
        raise StoreError(f"Redis at {connection.where} is {version}: snqd wants {OLDEST[0]}.{OLDEST[1]} or later")
    if told.get("cluster_enabled") == "1":
        raise StoreError(
            f"Redis at {connection.where} is a node of a Redis Cluster, which snqd can't follow: "
            "name a Redis without cluster mode"
        )
    if told.get("role") != "master":
        raise StoreUnavailable(f"Redis at {connection.where} is a replica: name the master, or let Sentinel find it")
    if told.get("loading") == "1":
        raise StoreUnavailable(f"Redis at {connection.where} is still loading its data")
    return told


async def renew_aof(reactor: Any, connection: RedisConnection, renewal: AofRenewal, told: Mapping[str, str]) -> None:
    """Let a Redis that started anew begin a new append-only file; nothing may be written before.

    :param told: by :func:`check_server`.
    :raises StoreUnavailable: if the connection does not last so long, or Redis refuses changes.
    """
    steps = renewal.steps(told)
    try:
        step = next(steps)
        while True:
            try:
                reply = await _taken(reactor, connection, step)
            except RedisConnectionLost:
                raise
            except StoreError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration:
        return


async def _taken(reactor: Any, connection: RedisConnection, step: Step) -> Any:
    if isinstance(step, tuple):
        return await connection.command(*step)
    return await deferLater(reactor, step)


class SafetyCheck:
    """Tells, loudly, what a Redis would lose; once each time that its settings change."""

    def __init__(self) -> None:
        self._told: list[str] = []

    async def look(self, connection: RedisConnection) -> None:
        """Look at the server's settings, and warn.

        :raises RedisConnectionLost: if the connection does not last so long.
        """
        warnings = risks(*[await _setting(connection, name) for name in ("appendonly", "appendfsync")])
        warnings += eviction(*[await _setting(connection, name) for name in ("maxmemory", "maxmemory-policy")])
        if warnings != self._told:
            self._told = warnings
            for warning in warnings:
                log.error("Redis at {where} may lose jobs: {warning}", where=connection.where, warning=warning)


async def _setting(connection: RedisConnection, name: str) -> str | None:
    try:
        found = await connection.command("CONFIG", "GET", name)
    except StoreUnavailable:
        raise
    except StoreError:  # a provider that forbids CONFIG
        return None
    return found[1].decode() if found else None


def risks(appendonly: str | None, appendfsync: str | None) -> list[str]:
    """What a crash of a server with these settings loses; None stands for one that can't be read."""
    if appendonly is None or appendfsync is None:
        return ["its settings can't be read (CONFIG is forbidden): see to appendonly yes and appendfsync always"]
    if appendonly != "yes":
        return [
            "appendonly is off. When Redis crashes or restarts, every job since its last snapshot is lost, and jobs "
            "that were done since then run again. Set appendonly yes and appendfsync always"
        ]
    if appendfsync == "everysec":
        return [
            "appendfsync is everysec. When it or its machine crashes, jobs of the last second or two may be lost, "
            "though they were accepted, and jobs done in that time run again. Set appendfsync always"
        ]
    if appendfsync != "always":
        return [
            f"appendfsync is {appendfsync}. When its machine crashes, the jobs of the last half minute are lost, "
            "though they were accepted, and jobs done in that time run again. Set appendfsync always"
        ]
    return []


def eviction(maxmemory: str | None, policy: str | None) -> list[str]:
    """What a server with these settings throws away when its memory is full."""
    if maxmemory in (None, "0") or policy in (None, "noeviction") or str(policy).startswith("volatile"):
        return []
    return [f"maxmemory-policy is {policy}: when its memory is full it deletes jobs. Set maxmemory-policy noeviction"]
