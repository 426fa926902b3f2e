"""Programs that enqueue, where the server does what it is told and its answer is lost: which jobs are in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from snqd.config.redis_address import redis_address
from snqd.core.errors import StoreUnavailable, Unconfirmed
from snqd.core.job import Job
from snqd.stores.redis.blocking import RedisQueue
from snqd.stores.sql.blocking import SqlQueue
from tests.servers.database_server import DatabaseServer
from tests.servers.losing_proxy import LosingProxy
from tests.servers.mariadb import mariadb
from tests.servers.postgresql import postgresql
from tests.servers.redis import RedisServer

JOBS = [Job(f"doubtful-{n}", "alpha", "q", b"{}", created=1700000000.0) for n in range(3)]


@attrs.frozen
class Place:
    """A server, and a queue on it by way of a port.

    :ivar says: what is sent last for an enqueue.
    :ivar jobs: what is enqueued.
    """

    port: int
    says: bytes
    queue: Callable[[int], Any]
    jobs: Sequence[Job] = JOBS


def _redis(folder: Path) -> Iterator[Place]:
    server = RedisServer(folder / "redis")
    server.start()
    yield Place(
        server.port,
        b"doubtful-2",
        lambda port: RedisQueue(redis_address(f"redis://127.0.0.1:{port}/0"), "p:", patience=0.2),
    )
    server.stop()


def _sql(server: DatabaseServer, says: bytes, folder: Path, jobs: Sequence[Job] = JOBS) -> Iterator[Place]:
    url = server.url(server.database())
    yield Place(server.port, says, lambda port: SqlQueue(url.replace(f":{server.port}/", f":{port}/"), folder), jobs)


@pytest.fixture(params=["redis", "postgresql", "postgresql, one job", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of server in turn."""
    if request.param == "redis":
        yield from _redis(tmp_path)
    elif request.param == "postgresql":  # one statement, which commits itself
        yield from _sql(postgresql(), b"doubtful-2", tmp_path)
    elif request.param == "postgresql, one job":  # a prepared one
        yield from _sql(postgresql(), b"doubtful-0", tmp_path, JOBS[:1])
    else:
        yield from _sql(mariadb(), b"COMMIT", tmp_path)


def waiting(queue: Any) -> int:
    return sum(depth.waiting for depth in queue.depths())


def test_jobs_whose_answer_is_lost_are_named_and_those_that_were_never_sent_are_not(place: Place) -> None:
    direct = place.queue(place.port)
    direct.enqueue([Job("before", "alpha", "q", b"{}", created=1700000000.0)])  # the schema is there by now
    proxy = LosingProxy(place.port)
    queue = place.queue(proxy.port)
    assert queue.pauses() == direct.pauses()
    proxy.lost = place.says
    with pytest.raises(Unconfirmed) as told:
        queue.enqueue(place.jobs)
    assert (list(told.value.accepted), told.value.unknown) == ([], [job.id for job in place.jobs])
    assert waiting(direct) == 1 + len(place.jobs)
    with pytest.raises(StoreUnavailable) as refused:  # nobody is let in any more
        queue.enqueue(place.jobs)
    assert not isinstance(refused.value, Unconfirmed)
    assert waiting(direct) == 1 + len(place.jobs)
    for each in (queue, direct):
        each.close()
