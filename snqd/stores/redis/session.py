"""Session: this process as an owner of claims in Redis, over connections that come and go."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from snqd.config.redis_address import RedisAddress
from snqd.core.clocks import BootTime, boot_time
from snqd.core.errors import StoreUnavailable
from snqd.stores.redis import scripts
from snqd.stores.redis.aof import AofRenewal
from snqd.stores.redis.connection import DEADLINE, RedisConnection
from snqd.stores.redis.errors import RedisConnectionLost
from snqd.stores.redis.link import Link
from snqd.stores.redis.login import SafetyCheck, check_server, log_in, renew_aof
from snqd.stores.redis.scripts import Script

LOST = b"lost"
REWRITE_PATIENCE = 30.0
"""Seconds that a new connection waits for a rewrite of the append-only file, where it must."""


class Session:
    """Registers the process on each connection anew, under a number that only grows, so that a claim which was stuck on
    an earlier connection takes nothing any more; what a claim took whose answer was lost is freed by that.

    :param owner: the process's name.
    :param up: called when a connection is ready.
    :param registered: called with the epoch, and when Redis was asked for it.
    :ivar epoch: under which the process claims; a new one after its jobs were given to others.
    :ivar held: the numbers of the jobs that the process knows to be in its hands, with their epochs.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        random: Random,
        prefix: str,
        owner: str,
        up: Callable[[], Any],
        registered: Callable[[int, BootTime], Any],
    ) -> None:
        self.epoch = 0
        self.held: dict[int, int] = {}
        self.owner = owner
        self.prefix = prefix
        self._reactor = reactor
        self._address = address
        self._up = up
        self._told_registered = registered
        self._number = 0
        self._registered = 0
        self._registering = DeferredLock()
        self._safety = SafetyCheck()
        self._renewal = AofRenewal(prefix, REWRITE_PATIENCE, self._tell)
        where = str(address)
        self._link = Link(reactor, address, random, lambda: RedisConnection(reactor, where), self._prepare, "jobs")

    @property
    def connection(self) -> RedisConnection | None:
        """The connection, None while there is none."""
        return self._link.connection

    @property
    def trouble(self) -> str | None:
        """Why there is no connection, None while there is one."""
        return self._link.trouble

    def is_connected(self) -> bool:
        """Whether there is one."""
        return self._link.connection is not None

    def start(self) -> Deferred[Any]:
        """Connect; fires when the process is registered, fails with StoreError where Redis refuses it for good."""
        self._link.start()
        return self._link.up()

    def stop(self) -> Deferred[Any]:
        """Disconnect."""
        return self._link.stop()

    async def ask(self, script: Script, *arguments: Any, patience: float = DEADLINE) -> Any:
        """Run a script that may be repeated without harm; returns its answer.

        :param patience: seconds to wait for a connection.
        :raises StoreError: if there is none, it is lost twice, or Redis refuses.
        """
        try:
            return await (await self._connected(patience)).run(script, self.prefix, *arguments)
        except RedisConnectionLost:
            return await (await self._connected(patience)).run(script, self.prefix, *arguments)

    async def claim(self, script: Script, request: Callable[[], dict[str, Any]]) -> tuple[bytes, int]:
        """Run a script that claims, however long it takes to have a connection; returns its answer and the epoch.

        :param request: makes what the script is asked, beside who asks.
        :raises StoreError: if Redis refuses.
        """
        while True:
            connection = await self._link.up()
            asked, epoch = self._registered, self.epoch
            words = {**request(), "name": self.owner, "epoch": epoch, "session": asked}
            try:
                reply = await connection.run(script, self.prefix, json.dumps(words), at_once=True)
            except RedisConnectionLost:
                continue
            if reply != LOST:
                return reply, epoch
            await self._registering.run(self._register_again, connection, asked)

    async def _prepare(self, connection: RedisConnection) -> None:
        await log_in(connection, self._address)
        told = await check_server(connection)
        await self._safety.look(connection)
        await renew_aof(self._reactor, connection, self._renewal, told)
        await self._register(connection)
        # At the end of this reactor turn the connection counts.
        self._reactor.callLater(0, self._up)

    def _tell(self, warning: str) -> None:
        self.log.error("Redis at {where} may lose jobs: {warning}", where=self._address, warning=warning)

    async def _register(self, connection: RedisConnection) -> None:
        self._number += 1
        number = self._number
        known = [n for n, epoch in self.held.items() if epoch == self.epoch]
        asked = boot_time()
        epoch = await connection.run(scripts.REGISTER, self.prefix, self.owner, number, json.dumps(known))
        if not epoch:
            raise RedisConnectionLost("a later connection has taken the place of this one")
        if self.epoch not in (0, epoch):
            self.log.warn("this process was silent for too long: its jobs were given to others")
        self.epoch, self._registered = epoch, number
        self._told_registered(epoch, asked)

    def _register_again(self, connection: RedisConnection, asked: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._register_unless_done(connection, asked))

    async def _register_unless_done(self, connection: RedisConnection, asked: int) -> None:
        if self._registered == asked:
            try:
                await self._register(connection)
            except RedisConnectionLost:
                return  # the next connection registers itself

    async def _connected(self, patience: float) -> RedisConnection:
        return await self._link.up().addTimeout(patience, self._reactor, self._too_long)

    def _too_long(self, failure: Any, timeout: float) -> Any:
        raise StoreUnavailable(f"no connection to Redis at {self._address} for {timeout:g} seconds")
