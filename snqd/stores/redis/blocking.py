"""The Redis store's side for programs without a reactor, on redis-py."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Sequence
from itertools import count
from typing import Any

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel
from zope.interface import implementer

from snqd.config.redis_address import RedisAddress
from snqd.core.clocks import Monotonic, monotonic
from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.core.farm_lease import Holding
from snqd.core.job import Job
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.control import IControlPublisher
from snqd.stores.farm_leases import IFarmLeases
from snqd.stores.interface import Depth, Pauses
from snqd.stores.redis import scripts
from snqd.stores.redis.aof import AofRenewal, Step
from snqd.stores.redis.codec import DepthsReader, encode_all, json_array, read_pauses
from snqd.stores.redis.errors import store_error
from snqd.stores.redis.info import info
from snqd.stores.redis.names import control_channel, place_of
from snqd.stores.redis.scripts import Script

PATIENCE = 10.0
"""Seconds for which a call is repeated while a Redis that was there can't be reached."""
FIRST_PATIENCE = 1.0
"""The same for one that was never reached: whoever begins only now is told soon."""
PAUSE = 0.1
"""Seconds between two attempts."""
TIMEOUT = 15.0
"""Seconds that one connection attempt, and one answer, may take."""
SITES_A_PAGE = 500

# redis-py takes the code off these errors.
_CODES: dict[type[redis.RedisError], str] = {
    redis.BusyLoadingError: "LOADING",
    redis.AuthenticationError: "WRONGPASS",
    redis.ReadOnlyError: "READONLY",
    redis.OutOfMemoryError: "OOM",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.MovedError: "MOVED",
}


@implementer(IBlockingQueue, IControlPublisher, IFarmLeases)
class RedisQueue:
    """Jobs in Redis, as :class:`snqd.stores.blocking.IBlockingQueue` has them.

    Every method raises StoreError where Redis does not take part. Calls that got no answer are repeated; enqueueing is
    numbered, so that Redis does it once.
    """

    def __init__(
        self,
        address: RedisAddress,
        prefix: str,
        patience: float = PATIENCE,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], Monotonic] = monotonic,
    ) -> None:
        self._address = address
        self._prefix = prefix
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._name = f"client-{secrets.token_hex(8)}"
        self._numbers = count(1)
        self._reached = False
        self._renewal = AofRenewal(prefix, patience, None)
        self._client = _client(address, self._connected)

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """Accept `jobs`, all or none; they are durable at return, and the children know of them.

        :raises Unconfirmed: where they were sent and no answer came.
        """
        heads, records = encode_all(jobs)
        words = (self._name, self._name, next(self._numbers), json_array(heads), b"".join(records))
        unanswered = 0

        def ask() -> None:
            nonlocal unanswered
            self._client.connection_pool.release(self._client.connection_pool.get_connection())  # nothing is sent yet
            unanswered += 1
            try:
                self._run_once(scripts.ENQUEUE, words)
            except redis.RedisError as error:
                unanswered -= _is_answer(error)
                raise

        try:
            self._patiently(ask)
        except StoreError as error:
            if unanswered:
                raise Unconfirmed(str(error), (), [job.id for job in jobs]) from error
            raise

    def pause(self, queue: str | None, site: str | None, paused: bool) -> None:
        """Stop, or go on, handing out jobs; see :meth:`snqd.stores.interface.IStore.pause`."""
        self._run(scripts.PAUSE, self._name, place_of(queue, site), int(paused))

    def pauses(self) -> Pauses:
        """What is paused."""
        return read_pauses(self._run(scripts.PAUSES))

    def depths(self) -> list[Depth]:
        """What waits, by queue and site."""
        reader = DepthsReader(self._run(scripts.HELD))
        for queue in reader.queues:
            after: str | None = ""
            while after is not None:
                after = reader.add_page(queue, self._run(scripts.WAITING, queue, after, SITES_A_PAGE))
        return reader.depths()

    def exists(self) -> bool:
        """True: there is nothing to make."""
        return True

    def close(self) -> None:
        """Disconnect; using it again is fine."""
        self._client.close()

    def lease_of(self, name: str) -> Holding | None:
        """See :class:`snqd.stores.farm_leases.IFarmLeases`."""
        beat, _, holder = self._run(scripts.LEASED, name).decode().partition(" ")
        return Holding(holder, int(beat)) if beat else None

    def exchange_lease(self, name: str, found: Holding | None, new: Holding) -> bool:
        """See :class:`snqd.stores.farm_leases.IFarmLeases`. Done again after a lost answer, it tells False."""
        kept = "" if found is None else f"{found.beat} {found.holder}"
        return bool(self._run(scripts.LEASE, name, kept, f"{new.beat} {new.holder}") == 1)

    def publish(self, body: bytes) -> None:
        """See :class:`snqd.stores.control.IControlPublisher`."""
        self._patiently(lambda: self._client.publish(control_channel(self._prefix), body))

    def _connected(self, connection: Any) -> None:
        """Called with each new connection, before its first use."""
        self._reached = True
        connection.on_connect()
        steps = self._renewal.steps(info(_ask(connection, "INFO")))
        try:
            step = next(steps)
            while True:
                try:
                    reply = self._taken(connection, step)
                except redis.ResponseError as error:
                    step = self._refused(steps, error)
                else:
                    step = steps.send(reply)
        except StopIteration:
            return

    def _refused(self, steps: Generator[Step, Any, None], error: redis.ResponseError) -> Step:
        try:
            return steps.throw(self._in_words(error))
        except StoreError:
            raise error from None  # redis-py drops the connection for errors of its own only

    def _taken(self, connection: Any, step: Step) -> Any:
        return _ask(connection, *step) if isinstance(step, tuple) else self._sleep(step)

    def _run(self, script: Script, *words: Any) -> Any:
        return self._patiently(lambda: self._run_once(script, words))

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        started = self._clock()
        while True:
            try:
                return ask()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                patience = self._patience if self._reached else min(self._patience, FIRST_PATIENCE)
                if isinstance(error, redis.AuthenticationError) or self._clock() >= started + patience:
                    raise self._in_words(error) from error
            except redis.RedisError as error:
                raise self._in_words(error) from error
            self._sleep(PAUSE)

    def _run_once(self, script: Script, words: tuple[Any, ...]) -> Any:
        try:
            return self._client.execute_command("EVALSHA", script.sha1, 1, self._prefix, *words)
        except exceptions.NoScriptError:
            return self._client.execute_command("EVAL", script.text, 1, self._prefix, *words)

    def _in_words(self, error: redis.RedisError) -> StoreError:
        if isinstance(error, redis.AuthenticationError) and "required" in str(error):
            return store_error(str(self._address), f"NOAUTH {error}")
        for kind, code in _CODES.items():
            if isinstance(error, kind):
                return store_error(str(self._address), f"{code} {error}")
        if isinstance(error, redis.ResponseError):
            return store_error(str(self._address), str(error))
        return StoreUnavailable(f"Redis at {self._address} can't be reached: {error}")


def _is_answer(error: redis.RedisError) -> bool:
    """Whether Redis has said it, so that what it was asked for was not done."""
    return isinstance(error, redis.ResponseError | redis.AuthenticationError | redis.BusyLoadingError)


def _ask(connection: Any, *words: Any) -> Any:
    connection.send_command(*words)
    return connection.read_response()


def _client(address: RedisAddress, connected: Callable[[Any], None]) -> Any:
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username or None,
        "password": address.password or None,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "redis_connect_func": connected,
    }
    if address.path:
        del options["socket_connect_timeout"]
        return redis.Redis(unix_socket_path=address.path, **options)
    if address.service:
        times = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        sentinel: Any = Sentinel(list(address.hosts), **times)  # type: ignore[no-untyped-call]
        return sentinel.master_for(address.service, **options)
    if address.tls:
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        options |= {"ssl_ca_certs": address.ca} if address.ca else {}
    ((host, port),) = address.hosts
    return redis.Redis(host=host, port=port, **options)
