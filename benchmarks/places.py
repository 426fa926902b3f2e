"""Places: the stores that are measured. Each starts its server and says how snqd and the peers reach it."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker
from tests.servers.database_server import DatabaseServer
from tests.servers.mariadb import MariaDbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import RedisServer

SLOTS = 10


class Place:
    """A store on this machine; a context manager, whose server ends with it.

    :cvar name: for ``--store``.
    :cvar package: Debian's, whose version is told.
    :ivar slots: jobs at once in a child where a measurement makes slots the limit.
    """

    name = ""
    package = ""
    slots = SLOTS

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=f"snqd-{self.name}-")
        self.folder = Path(self._folder.name)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Place:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def fresh(self) -> str:
        """A name that no run has had yet."""
        return f"bench{next(self._numbers)}"

    def start(self) -> None:
        """Start the server."""

    def stop(self) -> None:
        """End it."""

    def settings(self) -> Mapping[str, object]:
        """The section ``[queue]`` for a farm with nothing waiting."""
        raise NotImplementedError

    def url(self, protocol: str = "") -> str:
        """Where a peer works, with nothing waiting.

        :param protocol: for a server that speaks several.
        """
        raise NotImplementedError

    def version(self) -> str:
        """Package and version, as far as this machine knows."""
        command = ["dpkg-query", "-W", "-f", "${Package} ${Version}", self.package]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        return told.stdout or self.package


class Sqlite(Place):
    """The embedded store."""

    name = "sqlite"
    package = "libsqlite3-0"

    def settings(self) -> Mapping[str, object]:
        """The default."""
        return {}

    def url(self, protocol: str = "") -> str:
        """A file."""
        return str(self.folder / f"{self.fresh()}.db")


class Redis(Place):
    """Redis, everything on disk before it is confirmed (appendfsync always), for all alike."""

    name = "redis"
    package = "redis-server"

    def start(self) -> None:
        """Start it."""
        self._server = RedisServer(self.folder / "redis")
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def settings(self) -> Mapping[str, object]:
        """An empty Redis."""
        return {"subsystem": "redis", "redis": self.url()}

    def url(self, protocol: str = "") -> str:
        """An empty Redis."""
        self._server.say("FLUSHALL")
        return self._server.url


class Sql(Place):
    """A database server with its own defaults, all that is committed on disk; a database for each run."""

    server: type[DatabaseServer]

    def start(self) -> None:
        """Start it."""
        self._server = self.server()
        self._server.make()
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.discard()

    def settings(self) -> Mapping[str, object]:
        """A new database."""
        return {"db": self._server.url(self._server.database())}

    def url(self, protocol: str = "") -> str:
        """A new database, by the name that libpq knows."""
        return self._server.url(self._server.database()).replace("+psycopg", "")


class Postgresql(Sql):
    """PostgreSQL."""

    name = "postgresql"
    package = "postgresql"
    server = PostgresqlServer


class MariaDb(Sql):
    """MariaDB."""

    name = "mariadb"
    package = "mariadb-server"
    server = MariaDbServer


class Stomp(Place):
    """A broker, where every run has queues of its own."""

    broker: type[Broker]

    def start(self) -> None:
        """Start it."""
        self._broker = self.broker(self.folder)
        self._broker.start()

    def stop(self) -> None:
        """End it."""
        self._broker.kill()

    def settings(self) -> Mapping[str, object]:
        """Names of its own."""
        broker = self._broker
        login = {"stomp_username": broker.username, "stomp_password": broker.password}
        where = {"stomp_server": f"127.0.0.1:{broker.port}", "queue_basename": f"/queue/{self.fresh()}."}
        return {"subsystem": "stomp", **where, **login}

    def url(self, protocol: str = "") -> str:
        """The broker."""
        return f"stomp://{self._broker.username}:{self._broker.password}@127.0.0.1:{self._broker.port}"


class _RabbitMq(RabbitMq):
    """As its package has it: a scheduler for each CPU."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The same without the limit that keeps tests from each other's way."""
        argv, environment = super().command()
        name = "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"
        return argv, {**environment, name: environment[name].replace(" +S 1:1", "")}

    @property
    def amqp(self) -> int:
        """The port where Dramatiq and Celery speak with it."""
        return self._amqp


class RabbitMqPlace(Stomp):
    """RabbitMQ, classic durable queues."""

    name = "rabbitmq"
    package = "rabbitmq-server"
    broker = _RabbitMq
    _broker: _RabbitMq

    def url(self, protocol: str = "") -> str:
        """The broker, by AMQP unless STOMP is asked for."""
        return super().url() if protocol == "stomp" else f"amqp://guest:guest@127.0.0.1:{self._broker.amqp}"


class _ActiveMq(ActiveMq):
    """With memory for some hundred thousand messages."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The same with a larger heap."""
        argv, environment = super().command()
        return ["-Xmx2g" if word.startswith("-Xmx") else word for word in argv], environment


class ActiveMqPlace(Stomp):
    """ActiveMQ with KahaDB."""

    name = "activemq"
    package = "activemq"
    broker = _ActiveMq


_EVERY: tuple[type[Place], ...] = (Sqlite, Redis, Postgresql, MariaDb, RabbitMqPlace, ActiveMqPlace)
PLACES = {place.name: place for place in _EVERY}
