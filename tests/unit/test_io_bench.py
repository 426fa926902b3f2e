"""IoBench: an I/O manager in a test, without a daemon."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from snqd.io import IoContext, IoManager, Scope, SnqdError, StoreError
from snqd.io.entry_points import ManagerFailed
from snqd.testing import Enqueued, IoBench

CONFIG = """
[handlers]
mail = package.Mail
[app:feeds]
url = http://feeds
[site:alpha]
server = alpha.example
[site:beta]
app.feeds.url = http://beta
"""


class Feeds(IoManager):
    """Uses all that a context has."""

    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context
        self.ticks = 0
        self.notes: list[Any] = []
        timer = TimerService(10, self._tick)
        timer.clock = context.reactor
        timer.setServiceParent(self)

    def _tick(self) -> None:
        self.ticks += 1

    async def poll(self) -> bool:
        url = self.context.config("app:feeds", "url")
        if not url:
            return False
        size = await self.context.in_thread(len, url)
        for nickname in self.context.sites.nicknames():
            own = self.context.sites.get(nickname).config("feeds", "url")
            await self.context.enqueue(nickname, "mail", {"url": own, "size": size}, delay=5, id=f"feed-{nickname}")
        self.context.report({"sites": len(self.context.sites.nicknames())})
        assert self.master is not None
        self.master.working("mail")
        return True

    def reloaded(self, *sites: Any) -> None:
        self.notes.append(sites)

    def quiet(self) -> None:
        self.notes.append("quiet")


def test_a_manager_does_all_that_it_does_in_a_daemon() -> None:
    bench = IoBench(Feeds, CONFIG)
    bench.start()
    assert bench.poll() is True
    assert bench.enqueued == [
        Enqueued("alpha", "mail", {"url": "http://feeds", "size": 12}, 5.0, "feed-alpha"),
        Enqueued("beta", "mail", {"url": "http://beta", "size": 12}, 5.0, "feed-beta"),
    ]
    assert bench.reported == {"sites": 2}
    assert bench.worked == ["mail"]
    bench.clock.advance(10)
    assert bench.manager.ticks == 2
    bench.drain()
    assert bench.manager.notes == ["quiet"]
    assert bench.reported is None
    bench.clock.advance(10)
    assert bench.manager.ticks == 2
    assert bench.clock.getDelayedCalls() == []


def test_a_reload_changes_what_the_context_says() -> None:
    bench = IoBench(Feeds, CONFIG)
    bench.start()
    bench.reload("[handlers]\nmail = package.Mail\n[site:beta]\n[site:gamma]\n")
    assert bench.manager.notes == [(("gamma",), ("beta",), ("alpha",))]
    assert bench.poll() is False


def test_a_job_that_no_store_would_get_is_refused_here_too() -> None:
    bench = IoBench(Feeds, CONFIG.replace("mail", "male"))
    bench.start()
    with pytest.raises(SnqdError, match=r"queue mail has no handler.*male"):
        bench.poll()
    assert bench.enqueued == []


def test_the_store_can_fail() -> None:
    bench = IoBench(Feeds, CONFIG)
    bench.start()
    bench.store_error = StoreError("disk full")
    with pytest.raises(StoreError, match="disk full"):
        bench.poll()
    bench.store_error = None
    assert bench.poll() is True


class Slow(IoManager):
    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context

    def start(self, master: Any) -> Deferred[Any]:
        super().start(master)
        return deferLater(self.context.reactor, 2)

    def poll(self) -> Deferred[bool]:
        return deferLater(self.context.reactor, 3, self._leave)

    def _leave(self) -> bool:
        assert self.master is not None
        self.master.leave(101)
        return False


def test_a_manager_that_waits_is_given_time() -> None:
    bench = IoBench(Slow)
    bench.start(within=2)
    assert bench.poll(within=4) is False
    assert bench.exit_code == 101


def test_a_manager_that_waits_for_too_long_is_told() -> None:
    with pytest.raises(AssertionError, match=r"start\(\) waits for something.*within=SECONDS"):
        IoBench(Slow).start(within=1)


class OfSite(Feeds):
    scope = Scope.INSTANCE_PER_SITE


def test_a_manager_of_one_site_knows_it() -> None:
    bench = IoBench(OfSite, CONFIG, site="beta")
    assert bench.context.site == "beta"
    bench.context.report({"on": True})
    assert bench.reported == {"on": True}


def test_a_factory_that_fails_fails_the_test() -> None:
    def broken(context: IoContext) -> IoManager:
        raise ValueError("no key")

    with pytest.raises(ManagerFailed, match="no key"):
        IoBench(broken)
