"""The Redis store when Redis is killed, silent, full, read-only, or takes back what it has confirmed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher

from snqd.config.redis_address import redis_address
from snqd.core.errors import StoreError, StoreUnavailable, Unconfirmed
from snqd.core.job import Job
from snqd.stores.interface import Depth
from snqd.stores.redis import connection, scripts, store
from snqd.stores.redis.blocking import RedisQueue
from snqd.stores.redis.scripts import Script
from snqd.stores.redis.store import RedisStore
from tests.contract.bench import Process
from tests.integration.redis_places import Places
from tests.integration.redis_wires import Wire
from tests.servers.redis import SAFE, RedisServer, free_port, need

ROOT = Path(__file__).parents[2]
PREFIX = "{test}:"


class Farm:
    """Stores on one Redis, by names."""

    def __init__(self) -> None:
        self.open: list[Process] = []

    def make(self, url: str, name: str, prefix: str = PREFIX, lease: float = 600.0) -> RedisStore:
        return RedisStore(reactor, redis_address(url), prefix, name, lease=lease, suspects_of=lambda name: ())

    async def process(self, url: str, name: str, prefix: str = PREFIX, **options: Any) -> Process:
        process = Process(self.make(url, name, prefix, **options), name)
        self.open.append(process)
        await process.store.open(process.wake)
        return process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis")
    made.start()
    yield made
    made.stop()


@pytest_twisted.async_yield_fixture
async def farm(server: RedisServer) -> AsyncIterator[Farm]:
    made = Farm()
    yield made
    for process in made.open:
        await process.store.close()


@pytest_twisted.async_yield_fixture
async def wire(server: RedisServer) -> AsyncIterator[Wire]:
    made = Wire(server.port)
    yield made
    await made.close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The texts of what is logged."""
    texts: list[str] = []

    def take(event: Any) -> None:
        if event.get("log_format"):
            texts.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(take)
    yield texts
    globalLogPublisher.removeObserver(take)


def job(number: int, queue: str = "q", site: str = "alpha") -> Job:
    return Job(f"job-{number}", site, queue, b"{}", created=time.time())


def calls(script: Script) -> Callable[[bytes], bool]:
    return lambda request: script.sha1.encode() in request or script.text.encode() in request


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(3000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it did not come true")


def counts(depths: list[Depth]) -> dict[str, tuple[int, int, int]]:
    return {each.queue: (each.waiting, each.delayed, each.in_flight) for each in depths}


# Redis dies


@ensureDeferred
async def test_killing_redis_again_and_again_loses_no_job_and_runs_none_that_was_acknowledged(
    server: RedisServer, farm: Farm
) -> None:
    one, two = await farm.process(server.url, "one"), await farm.process(server.url, "two")
    jobs = [job(n, site=f"site-{n % 5}") for n in range(3000)]
    await one.enqueue(*jobs)
    acknowledged: set[str] = set()
    again: list[str] = []

    async def work(process: Process) -> None:
        while len(acknowledged) < len(jobs):
            claimed = await process.claim(20)
            again.extend(each.job.id for each in claimed if each.job.id in acknowledged)
            for each, done in [(each, process.store.ack(each.receipt)) for each in claimed]:
                if await done:
                    acknowledged.add(each.job.id)
            if not claimed:
                await deferLater(reactor, 0.01)

    tasks = [Deferred.fromCoroutine(work(process)) for process in (one, two)]
    working = gatherResults([task.addTimeout(60.0, reactor, lambda failure, timeout: None) for task in tasks])
    for progress in (300, 1000, 1700, 2400):
        await until(lambda progress=progress: len(acknowledged) >= progress)
        server.kill()
        await until(lambda: bool(one.store.trouble and two.store.trouble))
        server.start_again()
    await working
    assert Places(server.port, PREFIX).of({each.id for each in jobs} - acknowledged) == []
    assert again == []
    assert await one.store.depths() == []


@ensureDeferred
async def test_what_is_asked_while_redis_is_down_is_done_once_it_is_back(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1), job(2), job(3))
    first, second, _ = await one.claim()
    server.kill()
    await until(lambda: bool(one.store.trouble))
    asked = [
        one.store.ack(first.receipt, [job(9, "later")]),
        one.store.retry(second.receipt, 500.0, "busy"),
        one.enqueue(job(4)),
        one.claim(),
    ]
    assert "connection to Redis at 127.0.0.1" in one.store.trouble
    server.start()
    acked, retried, _, claimed = await gatherResults([Deferred.fromCoroutine(_await(each)) for each in asked])
    assert (acked, retried) == (True, True)
    depths = counts(await one.store.depths())
    assert depths == {"q": (1 - len(claimed), 1, 1 + len(claimed)), "later": (1, 0, 0)}
    assert one.store.trouble is None


async def _await(asked: Any) -> Any:
    return await asked


@ensureDeferred
async def test_a_store_opens_once_redis_is_there(server: RedisServer, farm: Farm, logged: list[str]) -> None:
    server.stop()
    opening = Deferred.fromCoroutine(farm.process(server.url, "early"))
    await until(lambda: any("no connection to Redis" in text for text in logged))
    assert not opening.called
    server.start()
    one = await opening
    await one.enqueue(job(1))


@ensureDeferred
async def test_closing_while_redis_is_down_ends_and_says_that_jobs_could_not_be_given_back(
    server: RedisServer, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FAREWELL", 0.1)
    one = await farm.process(server.url, "one")
    farm.open.remove(one)
    await one.enqueue(job(1))
    (claimed,) = await one.claim()
    server.kill()
    await until(lambda: bool(one.store.trouble))
    unsettled = one.store.ack(claimed.receipt)
    with pytest.raises(StoreUnavailable, match="of closing"):
        await one.store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await unsettled


@ensureDeferred
async def test_an_enqueue_that_redis_does_not_confirm_fails_in_time(
    server: RedisServer, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.1)
    one = await farm.process(server.url, "one")
    server.kill()
    await until(lambda: bool(one.store.trouble))
    with pytest.raises(StoreUnavailable, match=r"has not taken the jobs within 0\.1 seconds: ") as told:
        await one.enqueue(job(1))
    assert not isinstance(told.value, Unconfirmed)  # nothing was sent
    monkeypatch.setattr(store, "PATIENCE", 15.0)
    server.start()
    await one.enqueue(job(2))
    assert await one.drain() == ["job-2"]


@ensureDeferred
async def test_a_redis_that_hangs_is_given_up_and_found_again(
    server: RedisServer, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1))
    (claimed,) = await one.claim()
    monkeypatch.setattr(connection, "DEADLINE", 0.2)
    server.signal(signal.SIGSTOP)
    acked = one.store.ack(claimed.receipt)
    await until(lambda: bool(one.store.trouble))
    monkeypatch.setattr(connection, "DEADLINE", 15.0)
    server.signal(signal.SIGCONT)
    assert await acked is True
    assert await one.store.depths() == []


# Replies are lost


@ensureDeferred
async def test_a_settlement_whose_reply_is_lost_counts_once(server: RedisServer, wire: Wire, farm: Farm) -> None:
    one = await farm.process(wire.url, "one")
    await one.enqueue(*map(job, range(4)))
    first, second, third, _ = await one.claim()
    lost = wire.lose_reply(calls(scripts.SETTLE))
    asked = [
        one.store.ack(first.receipt, [job(9, "later")]),
        one.store.retry(second.receipt, 500.0, "busy"),
        Deferred.fromCoroutine(_await(one.store.give_back([third.receipt]))),
    ]
    await lost
    assert await gatherResults(asked) == [True, True, None]
    assert counts(await one.store.depths()) == {"q": (1, 1, 1), "later": (1, 0, 0)}


@ensureDeferred
async def test_an_enqueue_whose_reply_is_lost_counts_once(server: RedisServer, wire: Wire, farm: Farm) -> None:
    one = await farm.process(wire.url, "one")
    lost = wire.lose_reply(calls(scripts.ENQUEUE))
    asked = Deferred.fromCoroutine(one.enqueue(job(1)))
    await lost
    await asked
    await one.enqueue(job(2))
    assert await one.drain() == ["job-1", "job-2"]


@ensureDeferred
async def test_an_enqueue_whose_reply_does_not_come_even_later_names_its_jobs_alone(
    server: RedisServer, wire: Wire, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await farm.process(wire.url, "one")
    await one.enqueue(job(0))  # Redis has the script by now
    lost = wire.lose_reply(calls(scripts.ENQUEUE))
    monkeypatch.setattr(store, "PATIENCE", 0.5)
    asked = [one.store.enqueue([job(1), job(2)]), one.store.enqueue([job(3)])]
    await lost
    server.signal(signal.SIGSTOP)
    unknown = []
    for each in asked:
        with pytest.raises(Unconfirmed) as told:
            await each
        unknown.append(list(told.value.unknown))
    server.signal(signal.SIGCONT)
    assert unknown == [["job-1", "job-2"], ["job-3"]]
    await until(lambda: one.store.trouble is None)
    assert counts(await one.store.depths()) == {"q": (4, 0, 0)}


@ensureDeferred
async def test_jobs_of_a_claim_whose_reply_is_lost_are_claimed_again(
    server: RedisServer, wire: Wire, farm: Farm
) -> None:
    one = await farm.process(wire.url, "one")
    await one.enqueue(job(1), job(2), job(3))
    (held,) = await one.claim(1)
    lost = wire.lose_reply(calls(scripts.CLAIM))
    asked = Deferred.fromCoroutine(one.claim())
    await lost
    assert [each.job.id for each in await asked] == ["job-2", "job-3"]
    assert await one.store.ack(held.receipt) is True
    assert counts(await one.store.depths()) == {"q": (0, 0, 2)}


@ensureDeferred
async def test_a_call_that_was_stuck_on_an_earlier_connection_changes_nothing(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1), job(2), job(3))
    held, _ = await one.claim(2)
    await one.store.ack(held.receipt)
    here = one.store._session.connection
    epoch = one.store._session.epoch
    assert await here.run(scripts.REGISTER, PREFIX, "one", 0, "[]") == 0
    late = {"name": "one", "epoch": epoch, "session": 0, "wants": [["q", 5, False, "", {}, 8]]}
    assert await here.run(scripts.CLAIM, PREFIX, json.dumps(late)) == b"lost"
    again = f'[[{held.receipt.key},{epoch},"a",1]]'
    name = f"one:{one.store._run}:settle"
    assert await here.run(scripts.SETTLE, PREFIX, "one", name, 1, again, '[["later alpha",2]]', b"{}") == b""
    assert counts(await one.store.depths()) == {"q": (1, 0, 1)}


@ensureDeferred
async def test_a_wake_up_that_was_missed_comes_with_the_next_connection(server: RedisServer, farm: Farm) -> None:
    one, two = await farm.process(server.url, "one"), await farm.process(server.url, "two")
    woken = two.woken()
    assert server.say("CLIENT", "KILL", "TYPE", "pubsub").startswith(b":")
    await woken
    woken = two.woken()
    await one.enqueue(job(1))
    await woken


# Redis refuses


@ensureDeferred
async def test_a_full_redis_refuses_jobs_and_lets_those_it_has_be_done(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1), job(2))
    server.say("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="raise maxmemory"):
        await one.enqueue(job(3))
    first, second = await one.claim()
    assert await one.store.ack(first.receipt) is True
    await one.store._beat()
    assert "raise maxmemory" in one.store.trouble
    server.say("CONFIG", "SET", "maxmemory", "0")
    await one.store._beat()
    assert one.store.trouble is None
    await one.enqueue(job(4))
    assert await one.drain() == ["job-4"]
    assert await one.store.ack(second.receipt) is True


@ensureDeferred
async def test_a_full_redis_takes_a_process_that_comes_anew_and_frees_what_a_dead_one_held(
    server: RedisServer, farm: Farm
) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1), job(2))
    await one.claim()
    server.say("CONFIG", "SET", "maxmemory", "1")
    other = await Deferred.fromCoroutine(farm.process(server.url, "other")).addTimeout(10.0, reactor)
    assert await other.store.recover("one", ["job-1"], "killed") == 2
    await other.store.pause("q", None, True)
    assert await other.claim() == []
    await other.store.pause("q", None, False)
    assert await other.store._beat() == (True, [])
    assert await other.drain() == ["job-2"]
    (suspect,) = await other.claim_solo()
    assert suspect.job.attempt == 2


@ensureDeferred
async def test_settlements_wait_out_a_redis_that_refuses_changes(
    server: RedisServer, farm: Farm, logged: list[str]
) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1), job(2))
    (claimed,) = await one.claim(1)
    server.say("CONFIG", "SET", "min-replicas-to-write", "1")
    acked = one.store.ack(claimed.receipt)
    await until(lambda: any("settlements wait" in text for text in logged))
    assert "min-replicas-to-write" in one.store.trouble
    with pytest.raises(StoreUnavailable, match="min-replicas-to-write"):
        await one.claim()
    server.say("CONFIG", "SET", "min-replicas-to-write", "0")
    assert await acked is True
    assert "Redis takes settlements again" in logged
    assert await one.drain() == ["job-2"]
    assert one.store.trouble is None


@ensureDeferred
async def test_a_replica_is_not_worked_on_until_it_is_the_master(
    server: RedisServer, farm: Farm, tmp_path: Path, logged: list[str]
) -> None:
    replica = RedisServer(tmp_path / "replica", *SAFE, "--replicaof", "127.0.0.1", str(server.port))
    replica.start()
    try:
        opening = Deferred.fromCoroutine(farm.process(replica.url, "one"))
        await until(lambda: any("is a replica" in text for text in logged))
        assert not opening.called
        replica.say("REPLICAOF", "NO", "ONE")
        one = await opening
        await one.enqueue(job(1))
        await one.store.close()
        farm.open.remove(one)
    finally:
        replica.stop()


@ensureDeferred
async def test_a_wrong_password_fails_at_once_and_shows_nowhere(
    server: RedisServer, farm: Farm, logged: list[str]
) -> None:
    server.say("CONFIG", "SET", "requirepass", "right")
    hosts = f"127.0.0.1:{server.port}/0"
    for secret, told in (("", "put it into"), (":wrong-secret@", "correct them")):
        with pytest.raises(StoreError, match=told) as raised:
            await farm.make(f"redis://{secret}{hosts}", "one").open(lambda: None)
        assert "wrong-secret" not in f"{raised.value}{logged}"
        with pytest.raises(StoreError, match=told):
            RedisQueue(redis_address(f"redis://{secret}{hosts}"), PREFIX).pauses()
    one = await farm.process(f"redis://:right@{hosts}", "one")
    await one.enqueue(job(1))
    assert len(RedisQueue(redis_address(f"redis://:right@{hosts}"), PREFIX).depths()) == 1


# As docs/stores.rst has them.
RIGHTS = "~{test}:* resetchannels &{test}:* +@read +@write +evalsha +eval +publish +subscribe +select +info +ping +time"
MORE_RIGHTS = [("+config|get +bgrewriteaof", []), ("+bgrewriteaof", ["can't be read"]), ("+config|get", ["rewritten"])]


@pytest.mark.parametrize(("more", "told"), MORE_RIGHTS, ids=["all", "no config", "no rewrite"])
@ensureDeferred
async def test_a_user_with_few_rights_does(
    server: RedisServer, farm: Farm, logged: list[str], more: str, told: list[str]
) -> None:
    server.say("ACL", "SETUSER", "snqd", "on", ">secret", *RIGHTS.split(), *more.split())
    one = await farm.process(f"redis://snqd:secret@127.0.0.1:{server.port}/0", "one")
    other = await farm.process(server.url, "other")
    woken = one.woken()
    await other.enqueue(job(1))
    await woken
    await one.enqueue(job(2))
    assert await one.drain() == ["job-1", "job-2"]
    warnings = [text for text in logged if "may lose jobs" in text]
    assert [text in warning for text, warning in zip(told, warnings, strict=True)] == [True] * len(told)


@ensureDeferred
async def test_a_user_who_may_not_publish_is_refused_at_once(server: RedisServer, farm: Farm) -> None:
    server.say("ACL", "SETUSER", "snqd", "on", ">secret", *RIGHTS.split(), "-publish")
    with pytest.raises(StoreError, match="lacks rights"):
        await farm.make(f"redis://snqd:secret@127.0.0.1:{server.port}/0", "one").open(lambda: None)


@ensureDeferred
async def test_a_node_of_a_cluster_is_refused(tmp_path: Path, farm: Farm) -> None:
    node = RedisServer(tmp_path / "node", "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    node.start()
    try:
        with pytest.raises(StoreError, match="Redis Cluster"):
            await farm.make(node.url, "one").open(lambda: None)
    finally:
        node.stop()


@ensureDeferred
async def test_scripts_come_back_after_redis_forgot_them(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    await one.enqueue(job(1))
    server.say("SCRIPT", "FLUSH")
    await one.enqueue(job(2))
    assert await one.drain() == ["job-1", "job-2"]


RISKY = [
    (["--appendonly", "no"], "appendonly is off"),
    (["--appendonly", "yes", "--appendfsync", "everysec"], "the last second or two"),
    (["--appendonly", "yes", "--appendfsync", "no"], "half minute"),
    ([*SAFE, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "it deletes jobs"),
]


@pytest.mark.parametrize(("options", "told"), RISKY, ids=["off", "everysec", "no", "evicts"])
@ensureDeferred
async def test_a_redis_that_may_lose_jobs_is_warned_of_once(
    tmp_path: Path, logged: list[str], options: list[str], told: str
) -> None:
    risky = RedisServer(tmp_path / "risky", *options)
    risky.start()
    farm = Farm()
    try:
        one = await farm.process(risky.url, "one")
        risky.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(lambda: len([text for text in logged if text.startswith("connected")]) >= 1)
        await one.enqueue(job(1))
        assert [told in text for text in logged if "may lose jobs" in text] == [True]
        await one.store.close()
    finally:
        risky.stop()


@ensureDeferred
async def test_a_safe_redis_is_not_warned_of(server: RedisServer, farm: Farm, logged: list[str]) -> None:
    await farm.process(server.url, "one")
    assert not [text for text in logged if "may lose jobs" in text]


# Ways to Redis


@ensureDeferred
async def test_a_unix_socket_serves_as_well(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(f"unix://{server.socket}?db=3", "one")
    await one.enqueue(job(1))
    assert [each.queue for each in RedisQueue(redis_address(f"unix:{server.socket}?db=3"), PREFIX).depths()] == ["q"]
    assert RedisQueue(redis_address(server.url), PREFIX).depths() == []
    assert await one.drain() == ["job-1"]


def certificates(folder: Path) -> list[str]:
    """Options of a server that proves to be 127.0.0.1 by `folder`/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    proved = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = made.add_extension(proved, False).sign(key, hashes.SHA256())
    pem = Encoding.PEM
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    files = ["--tls-cert-file", "ca.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem"]
    return [word if word.startswith("--") else str(folder / word) for word in files]


@ensureDeferred
async def test_tls_serves_a_server_that_proves_its_name_and_no_other(
    tmp_path: Path, farm: Farm, logged: list[str]
) -> None:
    port = free_port()
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", *certificates(tmp_path)]
    safe = RedisServer(tmp_path / "safe", *SAFE, *options)
    safe.start()
    try:
        proved = f"rediss://127.0.0.1:{port}/0?ca={tmp_path / 'ca.pem'}"
        one = await farm.process(proved, "one")
        RedisQueue(redis_address(proved), PREFIX).enqueue([job(1)])
        assert await one.drain() == ["job-1"]
        await one.store.close()
        farm.open.remove(one)

        unproved = f"rediss://127.0.0.1:{port}/0"
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            RedisQueue(redis_address(unproved), PREFIX, patience=0.0).pauses()
        suspicious = farm.make(unproved, "two")
        opening = suspicious.open(lambda: None)
        await until(lambda: any("certificate verify failed" in text for text in logged))
        await suspicious._stop()
        with pytest.raises(StoreUnavailable, match="closed"):
            await opening
    finally:
        safe.stop()


@ensureDeferred
async def test_two_farms_on_one_redis_stay_apart(server: RedisServer, farm: Farm) -> None:
    one, other = await farm.process(server.url, "one"), await farm.process(server.url, "one", prefix="{other}:")
    await one.enqueue(job(1))
    await one.store.pause("r", None, True)
    assert await other.claim() == []
    assert await other.store.depths() == []
    assert not (await other.store.pauses()).queues
    assert await other.store.recover("one", (), "") == 0
    assert len(await one.claim()) == 1


def start_sentinel(folder: Path, port: int, master: int) -> subprocess.Popen[bytes]:
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor farm 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds farm 300\nsentinel failover-timeout farm 2000\n"
    )
    with (folder / "sentinel.log").open("wb") as log:
        return subprocess.Popen(["redis-sentinel", str(config)], stdout=log, stderr=log)


@pytest.mark.slow
@ensureDeferred
async def test_sentinels_lead_to_the_new_master_when_the_old_one_dies(tmp_path: Path, server: RedisServer) -> None:
    need("redis-sentinel")
    replica = RedisServer(tmp_path / "replica", *SAFE, "--replicaof", "127.0.0.1", str(server.port))
    replica.start()
    await until(lambda: b"master_link_status:up" in replica.say("INFO", "replication"))
    port = free_port()
    sentinel = start_sentinel(tmp_path, port, server.port)
    asked = RedisServer(tmp_path / "unused", port=port)
    farm = Farm()
    try:
        await until(asked.answers)
        await until(lambda: f"\n{replica.port}\r".encode() in asked.say("SENTINEL", "REPLICAS", "farm"))
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/farm/0"
        one = await farm.process(url, "one")
        await one.enqueue(job(1))
        await until(lambda: b"\n1\r" in b"".join([b"\n", server.say("WAIT", "1", "1000").replace(b":", b"\n")]))
        server.kill()
        (claimed,) = await one.claim()
        assert await one.store.ack(claimed.receipt) is True
        queue = RedisQueue(redis_address(url), PREFIX)
        queue.enqueue([job(2)])
        assert await one.drain() == ["job-2"]
        await one.store.close()
    finally:
        sentinel.terminate()
        sentinel.wait()
        replica.stop()


def test_the_parser_is_the_pure_one_even_where_hiredis_is_installed(server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "hiredis.py").write_text(
        "class Reader:\n    def __init__(self, *a, **k):\n        raise SystemExit(3)\n"
    )
    program = f"""
import hiredis, txredisapi
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from snqd.config.redis_address import redis_address
from snqd.stores.redis.store import RedisStore
assert txredisapi.RedisProtocol is txredisapi.HiredisProtocol

async def go():
    store = RedisStore(reactor, redis_address({server.url!r}), "x", "one", lease=60, suspects_of=lambda name: ())
    await store.open(lambda: None)
    print(await store.depths())
    await store.close()

done = Deferred.fromCoroutine(go())
done.addErrback(lambda failure: failure.printTraceback())
done.addBoth(lambda _: reactor.callLater(0, reactor.stop))
reactor.run()
"""
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr


# Without a reactor


@ensureDeferred
async def test_a_program_without_a_reactor_enqueues_pauses_and_looks(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    queue = RedisQueue(redis_address(server.url), PREFIX)
    woken = one.woken()
    queue.enqueue([job(1), job(2, site="beta")])
    await woken
    queue.pause(None, "beta", True)
    assert queue.pauses() == await one.store.pauses()
    assert [each.job.site for each in await one.claim()] == ["alpha"]
    depths = {each.site: (each.waiting, each.in_flight) for each in queue.depths()}
    assert depths == {"alpha": (0, 1), "beta": (1, 0)}
    queue.close()
    queue.pause(None, "beta", False)
    assert [each.job.site for each in await one.claim()] == ["beta"]


def test_a_program_without_a_reactor_waits_for_a_redis_that_comes_back(server: RedisServer) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            server.start()

    queue = RedisQueue(redis_address(server.url), PREFIX, sleep=sleep)
    queue.enqueue([job(1)])
    server.kill()
    queue.enqueue([job(2)])
    assert [each.waiting for each in queue.depths()] == [2]


def test_a_program_that_begins_while_redis_is_away_is_told_soon(server: RedisServer) -> None:
    server.kill()
    clock = Clock()
    queue = RedisQueue(redis_address(server.url), PREFIX, sleep=clock.advance, clock=clock.seconds)
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        queue.enqueue([job(1)])
    assert 0.5 < clock.seconds() < 2.0


def test_a_program_without_a_reactor_gives_up_on_a_redis_that_does_not_come_back(server: RedisServer) -> None:
    server.kill()
    queue = RedisQueue(redis_address(server.url), PREFIX, patience=0.0)
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        queue.enqueue([job(1)])


def test_a_full_redis_refuses_a_program_without_a_reactor(server: RedisServer) -> None:
    server.say("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="raise maxmemory"):
        RedisQueue(redis_address(server.url), PREFIX).enqueue([job(1)])


# Claims


@ensureDeferred
async def test_a_claim_stops_where_its_reply_would_get_too_large(server: RedisServer, farm: Farm) -> None:
    one = await farm.process(server.url, "one")
    bodies = [Job(f"job-{n}", "alpha", "q", b"x" * 1_000_000) for n in range(90)]
    for start in range(0, 90, 10):
        await one.enqueue(*bodies[start : start + 10])
    wakes = one.wakes
    first = await one.claim(90)
    assert 32 < len(first) < 90
    assert one.wakes > wakes  # else nobody would look for the rest before the next poll
    rest = [each for _ in range(2) for each in await one.claim(90)]
    assert [each.job.id for each in first + rest] == [each.id for each in bodies]
