"""RabbitMQ of today: what was given back again and again is done, or a dead letter, and never gone without a trace."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from farm import Farm
from waiting import wait_until

from snqd import connect
from snqd.stomp.encoder import encode
from snqd.stomp.frame import Frame, Version
from snqd.stomp.parser import Parser
from tests.servers.broker import running
from tests.servers.rabbitmq import RabbitMq4

pytestmark = [pytest.mark.today, pytest.mark.slow]

UNLIMITED = -1
FULL = bool(os.environ.get("SNQD_FULL"))
JOBS, SECONDS, RESTARTS = (400, 1.0, 24) if FULL else (60, 0.5, 5)
BACKLOG, KILLS = (3000, 30) if FULL else (400, 4)


@attrs.frozen
class Place:
    """A virtual host with the policies that docs/stomp.rst recommends.

    :ivar limit: the delivery limit; -1 for none.
    """

    queue_type: str
    limit: int

    def __str__(self) -> str:
        return f"{self.queue_type}, limit {self.limit}"


PLACES = [Place("classic", 20), Place("quorum", 20), Place("quorum", UNLIMITED)]


@pytest.fixture
def broker() -> RabbitMq4:
    """Debian 13's RabbitMQ."""
    if RabbitMq4.missing() and not os.environ.get("CI"):
        pytest.skip(f"needs {RabbitMq4.missing()}")
    found = running(RabbitMq4)
    assert isinstance(found, RabbitMq4)
    return found


@pytest.fixture
def make_farm(broker: RabbitMq4, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes farms, each on a virtual host of its own."""
    made: list[Farm] = []

    def make(place: Place, policies: Mapping[str, tuple[str, Mapping[str, Any]]], **queue: object) -> Farm:
        vhost = f"{tmp_path.name}-{len(made)}"
        broker.make_vhost(vhost, place.queue_type)
        for name, (pattern, definition) in policies.items():
            broker.set_policy(vhost, name, pattern, definition, priority=int(name != "snqd"))
        section = {
            "subsystem": "stomp",
            "stomp_server": f"tcp://127.0.0.1:{broker.port}",
            "stomp_vhost": vhost,
            "stomp_username": broker.username,
            "stomp_password": broker.password,
            "spawndelay": 0.2,
            **queue,
        }
        folder = tmp_path / vhost
        folder.mkdir()
        made.append(Farm(folder, sections={"queue": section}))
        made[-1].vhost = vhost  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for farm in made:
        farm.close()


def recipe(place: Place) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The policies by which nothing vanishes, each with its pattern."""
    delays = (r"^snqd\.snq\..*\.delay-", {"dead-letter-strategy": "at-least-once", "overflow": "reject-publish"})
    if place.limit == UNLIMITED:
        return {"snqd": (r"^snqd\.", {"delivery-limit": UNLIMITED}), "snqd-delays": delays}
    dropped = {
        "delivery-limit": place.limit,
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "snqd.snq.dropped",
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
    }
    last = (r"^snqd\.snq\.dropped$", {"delivery-limit": UNLIMITED})
    return {"snqd": (r"^snqd\.", dropped), "snqd-delays": delays, "snqd-dropped": last}


def fill(farm: Farm, number: int, seconds: float) -> set[str]:
    """Enqueue jobs of both sites by turns; returns their ids."""
    sites = cycle(("alpha", "beta"))
    with connect(str(farm.config)) as queue:
        return set(queue.enqueue_many([(next(sites), "note", {"seconds": seconds}) for _ in range(number)]))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_restarts_lose_nothing(make_farm: Callable[..., Farm], place: Place) -> None:
    """Each restart gives back what the children were sent and have not begun."""
    farm = make_farm(place, recipe(place), concurrency=2)
    jobs = fill(farm, JOBS, SECONDS)
    farm.start()
    for number in range(1, RESTARTS + 1):
        least = JOBS * number // (RESTARTS + 1)
        wait_until(lambda least=least: len(farm.journal.handled()) >= least, 60, f"{least} jobs done")  # type: ignore[misc]
        if len(jobs) - len(farm.journal.handled()) < JOBS // 2:  # on a slow machine restarts take longer than jobs
            jobs |= fill(farm, JOBS // 2, SECONDS)
        before = set(farm.child_pids())
        assert farm.snqctl("restart", "--local").returncode == 0
        wait_until(lambda before=before: farm.ready() and not before & set(farm.child_pids()), 60, "fresh children")  # type: ignore[misc]
    assert_nothing_lost(farm, jobs)


def assert_nothing_lost(farm: Farm, jobs: set[str]) -> None:
    def lost() -> set[str]:
        return jobs - farm.journal.handled() - {letter["id"] for letter in farm.dead()}

    wait_until(lambda: not lost(), 120, "each job done or dead")
    print(f"{len(farm.dead())} of {len(jobs)} are dead letters")  # noqa: T201


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_kills_lose_nothing(make_farm: Callable[..., Farm], place: Place) -> None:
    """A broker counts it against each job that a child was sent when that child is killed."""
    farm = make_farm(place, recipe(place), max_retries=50, retry_delay=0.5)
    jobs = fill(farm, BACKLOG, 0.15)
    farm.start()
    random = Random(1984)
    for number in range(1, KILLS + 1):
        least = BACKLOG * number // (KILLS + 1)
        wait_until(lambda least=least: len(farm.journal.handled()) >= least, 60, f"{least} jobs done")  # type: ignore[misc]
        farm.kill(random.choice(wait_until(farm.child_pids, 30, "children")))
    assert_nothing_lost(farm, jobs)


def test_what_a_limit_drops_is_a_dead_letter(make_farm: Callable[..., Farm], broker: RabbitMq4) -> None:
    farm = make_farm(place := Place("quorum", 2), recipe(place))
    (job,) = fill(farm, 1, 0.3)
    return_to_the_limit(broker, str(farm.vhost), place.limit)  # type: ignore[attr-defined]
    farm.start()
    (letter,) = wait_until(farm.dead, 60, "the dead letter")
    assert letter["reason"].startswith("the broker gave it up after more deliveries than its queue's delivery-limit")
    assert (letter["id"], letter["queue"], letter["payload"]) == (job, "note", {"seconds": 0.3})
    assert farm.journal.handled() == set()
    assert farm.snqctl("dead", "requeue", job).returncode == 0
    wait_until(lambda: farm.journal.handled() == {job}, 60, "the end of the job")


def return_to_the_limit(broker: RabbitMq4, vhost: str, limit: int) -> None:
    """Give the one message of the group's destination back once more than its limit allows."""
    login = {"accept-version": "1.2", "host": vhost, "login": broker.username, "passcode": broker.password}
    parser = Parser()
    with socket.create_connection(("127.0.0.1", broker.port), timeout=60) as connection:

        def frames() -> list[Frame]:
            while not (found := list(parser.feed(connection.recv(65536)))):
                pass
            return found

        connection.sendall(encode("CONNECT", login))
        frames()
        parser.version = Version.V1_2
        # RabbitMQ waits for three minutes before it looks again for a destination that was not there.
        made = {"destination": "/queue/snqd.snq.dropped", "snq-probe": "1", "expiration": "1", "receipt": "made"}
        connection.sendall(encode("SEND", made))
        frames()
        subscription = {"destination": "/queue/snqd.main", "id": "1", "ack": "client-individual"}
        connection.sendall(encode("SUBSCRIBE", subscription))
        for _ in range(limit + 1):
            (message,) = frames()
            connection.sendall(encode("NACK", {"id": message.headers["ack"]}))
        connection.sendall(encode("DISCONNECT", {"receipt": "bye"}))
        frames()


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_check_asks_the_broker_what_a_limit_drops(
    make_farm: Callable[..., Farm], broker: RabbitMq4, place: Place
) -> None:
    bare = make_farm(place, {}, stomp_management=broker.management).snqctl("check")
    dropping = "/queue/snqd.main: a quorum queue that drops a job without a trace after 20 returns (no policy)"
    assert (bare.returncode, dropping in bare.stderr) == ((2, True) if place.queue_type == "quorum" else (0, False))
    good = make_farm(place, recipe(place), stomp_management=broker.management).snqctl("check")
    assert (good.returncode, good.stderr) == (0, "")
    assert "not known" not in good.stdout
    unasked = make_farm(place, recipe(place)).snqctl("check")
    assert "stomp_management: not known whether a delivery-limit drops jobs of /queue/snqd.main, " in unasked.stdout
