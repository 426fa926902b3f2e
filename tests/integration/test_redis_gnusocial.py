"""GNU social 2's Redis lists, served by a daemon and shared with others who take from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from farm import Farm
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from waiting import wait_until

from snqd.config.redis_address import redis_address
from snqd.gnusocial.redis_list_manager import read_item
from snqd.gnusocial.redis_lists import ForeignLists
from snqd.stores.redis.store import RedisStore
from tests.servers.redis import RedisServer

SAMPLE = Path(__file__).parents[1] / "samples" / "gnusocial2-redis" / "list-item-notice.bin"
LIST = "gnusocial:Peer"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis")
    made.start()
    yield made
    made.stop()


def item(number: int) -> bytes:
    text = b"%d" % number
    return b'a:2:{i:0;s:4:"ping";i:1;s:%d:"%s";}' % (len(text), text)


def test_a_daemon_serves_the_lists_and_buries_what_it_cannot_read(server: RedisServer, tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    folder.mkdir()
    queue = {"subsystem": "redis", "redis": server.url, "foreign": "gnusocial-redis"}
    site = {"name": "Peer"}
    handlers = {"distrib": "farm_handlers.Note"}
    farm = Farm(folder, sites=["peer"], handlers=handlers, sections={"queue": queue, "site:peer": site})
    client = redis.Redis(port=server.port, protocol=2)
    try:
        client.rpush(LIST, SAMPLE.read_bytes(), b"no item at all", SAMPLE.read_bytes())
        farm.start()
        wait_until(lambda: len(farm.journal.runs("distrib")) == 2, 30, "both notices")
        assert client.llen(LIST) == 0
        (letter,) = farm.dead()
        assert (letter["site"], letter["queue"]) == ("peer", "unknown")
        client.rpush(LIST, SAMPLE.read_bytes())
        wait_until(lambda: len(farm.journal.runs("distrib")) == 3, 30, "a later one")
        assert {run.site for run in farm.journal.runs()} == {"peer"}
        assert farm.stop() == 0
    finally:
        farm.close()


@ensureDeferred
async def test_each_item_is_taken_once_by_sweepers_and_php_daemons_at_the_same_time(server: RedisServer) -> None:
    client = redis.Redis(port=server.port, protocol=2)
    items = [item(number // 2) for number in range(2000)]  # each one twice in a row
    client.rpush(LIST, *items)
    popped: list[bytes] = []
    stores = [
        RedisStore(reactor, redis_address(server.url), "{x}:", name, lease=60, suspects_of=lambda name: ())
        for name in ("one", "two")
    ]

    async def sweep(store: RedisStore) -> int:
        lists, taken = ForeignLists(store.ask), 0
        while found := await lists.look(["gnusocial:Nobody", LIST]):
            if len(popped) < 300:
                popped.append(client.lpop(LIST) or b"")
            taken += await lists.take(LIST, [(each, read_item("peer", each)) for each in found[LIST]])
        return taken

    for store in stores:
        await store.open(lambda: None)
    taken = await gatherResults([Deferred.fromCoroutine(sweep(store)) for store in stores])
    (depth,) = await stores[0].depths()
    assert depth.waiting == sum(taken)
    assert depth.waiting + len([each for each in popped if each]) == len(items)
    for store in stores:
        await store.close()
