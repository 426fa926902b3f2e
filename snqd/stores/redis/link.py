"""Link: a connection to Redis that is made again for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Generic, TypeVar

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.core.backoff import Backoff
from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.connection import RedisConnection
from snqd.stores.redis.endpoints import Protocols, endpoint_of

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
"""Seconds between two attempts to connect, at first and at most."""

C = TypeVar("C", bound=RedisConnection)


class Link(Generic[C]):
    """Keeps one connection to Redis up.

    :param make: makes a connection's protocol.
    :param prepare: logs in and readies a new connection, which does not count before that. (ClientService has a step of
        that name, but it does not bear a connection that is lost meanwhile, and keeps one that was refused.)
    :param purpose: what the connection is for, for the log.
    :ivar connection: the present connection, None while there is none.
    :ivar trouble: why there is none, once that has shown.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        random: Random,
        make: Callable[[], C],
        prepare: Callable[[C], Awaitable[Any]],
        purpose: str,
    ) -> None:
        self.connection: C | None = None
        self.trouble: str | None = None
        self._address = address
        self._purpose = purpose
        self._make = make
        self._prepare = prepare
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, random)
        self._waiting: list[Deferred[C]] = []
        self._stopped = False
        self._service = ClientService(
            _Told(endpoint_of(reactor, address), self._failed),
            Protocols(self._made),
            retryPolicy=lambda attempts: self._backoff.failed(),
            clock=reactor,
        )

    def start(self) -> None:
        """Connect, and go on trying."""
        self._service.startService()

    def stop(self) -> Deferred[Any]:
        """Disconnect, and try no more; fires when the connection is gone. What still waits for one fails."""
        self._stopped = True
        stopped: Deferred[Any] = self._service.stopService() if self._service.running else succeed(None)
        self._refuse(self._closed())
        return stopped

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"the connection to Redis at {self._address} is closed")

    def up(self) -> Deferred[C]:
        """Fires with the connection once there is one; fails with StoreError where Redis refuses for good (a wrong
        password), though the link goes on trying."""
        done: Deferred[C] = Deferred(self._forget)
        if self._stopped:
            done.errback(self._closed())
        elif self.connection is not None:
            done.callback(self.connection)
        else:
            self._waiting.append(done)
        return done

    def _forget(self, done: Deferred[C]) -> None:
        self._waiting.remove(done)

    def _made(self) -> C:
        connection = self._make()
        connection.made, connection.lost = self._connected, self._lost
        return connection

    def _connected(self, connection: C) -> None:
        prepared = Deferred.fromCoroutine(self._ready(connection))
        prepared.addErrback(lambda failure: self.log.failure("readying a connection to Redis went wrong", failure))

    async def _ready(self, connection: C) -> None:
        try:
            await self._prepare(connection)
        except StoreError as error:
            connection.transport.abortConnection()
            self._failed(error)
        else:
            self._count(connection)

    def _count(self, connection: C) -> None:
        if self._backoff.failures:
            self._backoff.succeeded()
            self.log.info("connected to Redis at {where} for {purpose}", where=self._address, purpose=self._purpose)
        self.connection, self.trouble = connection, None
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(connection)

    def _lost(self, connection: C) -> None:
        if self.connection is connection:
            self.connection = None
            self.trouble = f"lost the connection to Redis at {self._address} for {self._purpose}"
            if not self._stopped:
                self.log.warn(
                    "lost the connection to Redis at {where} for {purpose}", where=self._address, purpose=self._purpose
                )

    def _failed(self, error: Exception) -> None:
        self.trouble = f"no connection to Redis at {self._address} for {self._purpose}: {error}"
        if not self._backoff.failures and not self._stopped:
            self.log.error(
                "no connection to Redis at {where} for {purpose}, and it is tried again: {error}",
                where=self._address,
                purpose=self._purpose,
                error=error,
            )
        if isinstance(error, StoreError) and not isinstance(error, StoreUnavailable):
            self._refuse(error)

    def _refuse(self, error: StoreError) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.errback(error)


@implementer(IStreamClientEndpoint)
class _Told:
    """An endpoint that tells of attempts that fail."""

    def __init__(self, endpoint: IStreamClientEndpoint, tell: Callable[[Exception], None]) -> None:
        self._endpoint = endpoint
        self._tell = tell

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect."""
        return self._endpoint.connect(factory).addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        self._tell(failure.value)  # type: ignore[arg-type]
        return failure
