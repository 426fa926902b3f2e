"""A broker that is killed while a program enqueues: what it has confirmed is there afterwards, and nothing is in doubt
that is not named."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from threading import Thread

from waiting import wait_until

from snqd.config.stomp_servers import StompSettings
from snqd.core.errors import StoreError, Unconfirmed
from snqd.core.job import Job
from snqd.stomp.encoder import encode
from snqd.stores.stomp import blocking
from snqd.stores.stomp.blocking import StompQueue
from snqd.stores.stomp.brokers import login_of
from snqd.stores.stomp.message import ID
from snqd.stores.stomp.shared_state import FileSharedState
from snqd.stores.stomp.topology import Topology
from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker

BATCH = 100
"""Jobs; one that is confirmed only as a whole is worth testing."""


def test_what_a_killed_broker_has_confirmed_is_there_and_activemq_has_a_batch_whole_or_not_at_all(
    broker: Broker, tmp_path: Path
) -> None:
    server = f"127.0.0.1:{broker.port}"
    settings = StompSettings((server,), username=broker.username, password=broker.password)
    topology = Topology(f"/queue/{tmp_path.name}.", lambda queue: "main")
    queue = StompQueue(settings, topology, FileSharedState(tmp_path / "morgue.db"))
    confirmed: list[str] = []
    errors: list[StoreError] = []

    def feed() -> None:
        numbers = count()
        while not errors:
            jobs = [Job(f"{next(numbers)}", "alpha", "q", b'{"n": 1}', created=1.0) for _ in range(BATCH)]
            try:
                queue.enqueue(jobs)
                confirmed.extend(job.id for job in jobs)
            except StoreError as error:
                errors.append(error)

    feeding = Thread(target=feed)
    feeding.start()
    wait_until(lambda: len(confirmed) >= 10 * BATCH, 60, "ten batches")
    broker.kill()
    feeding.join()
    broker.start()
    queue.enqueue([Job("end", "alpha", "q", b"{}", created=1.0)])
    queue.close()
    found = _read_to_the_end(settings, topology.of_group("main"))
    (error,) = errors
    doubtful = set(error.unknown) if isinstance(error, Unconfirmed) else set()
    confirmed += error.accepted if isinstance(error, Unconfirmed) else ()
    assert set(confirmed) <= set(found)
    assert set(found) - set(confirmed) <= doubtful
    assert len(found) == len(set(found))
    if isinstance(broker, ActiveMq):
        assert doubtful & set(found) in (set(), doubtful)


def _read_to_the_end(settings: StompSettings, destination: str) -> list[str]:
    session = blocking._Session(blocking._connected(settings.servers[0]), login_of(settings))
    session._write(encode("SUBSCRIBE", {"id": "1", "destination": destination, "ack": "auto"}), 10)
    ids: list[str] = []
    while "end" not in ids:
        ids.append(session._next("MESSAGE", 30).headers[ID])
    session.close()
    return ids[:-1]
