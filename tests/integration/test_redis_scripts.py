"""The scripts on a real Redis: the fair claim against the one in Python, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from snqd.config.redis_address import redis_address
from snqd.core.job import Job
from snqd.stores.redis import scripts
from snqd.stores.redis.blocking import RedisQueue
from snqd.stores.redis.codec import read_claim
from snqd.stores.redis.pending_settlement import ack, give_back, retry, settle_words
from snqd.stores.redis.scripts import Script
from snqd.stores.share_out import FEW_SITES, share_out
from tests.servers.redis import RedisServer

NUMBERS = count(1)
SITES = [f"site-{n:02}" for n in range(20)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis"))
    made.start()
    yield made
    made.stop()


class Owner:
    """A process that talks to the scripts directly, on an empty queue of its own."""

    def __init__(self, server: RedisServer) -> None:
        self.prefix = f"{{{next(NUMBERS)}}}:"
        self.client = redis.Redis(port=server.port, protocol=2)
        self.queue = RedisQueue(redis_address(server.url), self.prefix)
        self.numbers = count(1)
        self.cursors: dict[str, str] = {}
        self.epoch = self.run(scripts.REGISTER, "me", 1, "[]")

    def run(self, script: Script, *words: Any) -> Any:
        return self.client.eval(script.text, 1, self.prefix, *words)

    def enqueue(self, counts: dict[str, int], **more: Any) -> None:
        jobs = [Job(f"job-{next(NUMBERS)}", site, "q", b"{}", **more) for site in counts for _ in range(counts[site])]
        self.queue.enqueue(jobs)

    def claim(self, room: int, held: dict[str, int], ordered: bool = False) -> list[Any]:
        want = ["q", room, ordered, self.cursors.get("q", ""), held, max(room, FEW_SITES)]
        words = {"name": "me", "epoch": self.epoch, "session": 1, "wants": [want]}
        reply = read_claim(self.run(scripts.CLAIM, json.dumps(words)), self.epoch)
        self.cursors.update(reply.cursors)
        return reply.claim.jobs

    def settle(self, settlements: list[Any]) -> bytes:
        answer: bytes = self.run(scripts.SETTLE, "me", "me:settle", next(self.numbers), *settle_words(settlements))
        return answer

    def keys(self) -> set[bytes]:
        names: set[bytes] = set(self.client.scan_iter(match=f"{self.prefix}*"))
        return {name.removeprefix(self.prefix.encode()) for name in names}


SHARES = st.dictionaries(st.sampled_from(SITES), st.integers(1, 12), max_size=14)


@settings(max_examples=60)
@given(counts=SHARES, held=SHARES, room=st.integers(1, 30), rounds=st.integers(1, 4))
def test_claims_share_out_as_the_other_stores_do(
    server: RedisServer, counts: dict[str, int], held: dict[str, int], room: int, rounds: int
) -> None:
    owner = Owner(server)
    owner.enqueue(counts)
    left, cursor = dict(counts), ""
    for _ in range(rounds):
        sites = sorted(site for site in left if left[site])
        in_turn = [site for site in sites if site > cursor] + [site for site in sites if site <= cursor]
        offers = [(site, list(range(min(left[site], room)))) for site in in_turn[: max(room, FEW_SITES)]]
        expected = {site: len(keys) for site, keys in share_out(room, offers, held).items()}
        taken = [each.job.site for each in owner.claim(room, held)]
        assert {site: taken.count(site) for site in taken} == expected
        for site, number in expected.items():
            left[site] -= number
        cursor = ([site for site, _ in offers if site in expected] or [cursor])[-1]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_done_with_jobs_none_is_lost_and_nothing_is_left_behind(server: RedisServer, seed: int) -> None:
    random = Random(seed)
    owner = Owner(server)
    wanted = 0
    hand: list[Any] = []
    for _ in range(30):
        step = random.random()
        if step < 0.3:
            counts = {random.choice(SITES[:4]): random.randint(1, 5)}
            wanted += sum(counts.values())
            owner.enqueue(counts, not_before=random.choice([0.0, 0.0, 1.0, 9e9]), attempt=random.randint(1, 2))
        elif step < 0.6:
            hand += owner.claim(random.randint(1, 6), {}, ordered=random.random() < 0.5)
        elif step < 0.9 and hand:
            settled = [hand.pop() for _ in range(random.randint(1, len(hand)))]
            kinds = [random.choice(["ack", "give back", "retry"]) for _ in settled]
            wanted -= kinds.count("ack")
            made = {
                "ack": lambda receipt: ack(receipt, [], []),
                "give back": give_back,
                "retry": lambda receipt: retry(receipt, random.choice([0.0, 500.0]), "late", True),
            }
            answer = owner.settle([made[kind](each.receipt) for kind, each in zip(kinds, settled, strict=True)])
            assert answer == b""
        else:
            suspects = json.dumps([each.job.id for each in hand[:1]])
            assert owner.run(scripts.RECOVER, "me", "me", suspects, '"killed"') == len(hand)
            hand = []
            owner.epoch = owner.run(scripts.REGISTER, "me", 1, "[]")
        depths = owner.queue.depths()
        assert sum(each.waiting + each.delayed + each.in_flight for each in depths) == wanted
        assert sum(each.in_flight for each in depths) == len(hand)
    finish(owner)


def finish(owner: Owner) -> None:
    """Do all that is left, delayed or suspect, and see that nothing remains of it."""
    owner.run(scripts.RECOVER, "me", "me", "[]", '""')
    owner.epoch = owner.run(scripts.REGISTER, "me", 1, "[]")
    for member, _ in owner.client.zscan_iter(f"{owner.prefix}due"):
        owner.client.zadd(f"{owner.prefix}due", {member: 1.0})
    while (jobs := owner.claim(100, {})) or (jobs := solo(owner)):
        owner.settle([ack(each.receipt, [], []) for each in jobs])
    rest = owner.keys() - {b"number", b"epochs", b"owner", b"beat", b"queues", b"renewed"}
    assert {name for name in rest if not name.startswith(b"last:")} == set()


def solo(owner: Owner) -> list[Any]:
    words = {"name": "me", "epoch": owner.epoch, "session": 1, "queues": ["q"]}
    return read_claim(owner.run(scripts.CLAIM_SOLO, json.dumps(words)), owner.epoch).claim.jobs
