"""What children and groups tell, and who hears of it."""

from __future__ import annotations

from typing import Any

from snqd.daemon.news import DaemonNews, News
from snqd.pipe import commands


def test_all_who_have_subscribed_hear_of_it_though_one_fails(logged: list[str]) -> None:
    news: News[[int]] = News("counted")
    heard: list[tuple[str, int]] = []

    def fails(number: int) -> None:
        raise KeyError(number)

    news.subscribe(lambda number: heard.append(("one", number)))
    news.subscribe(fails)
    news.subscribe(lambda number: heard.append(("two", number)))
    news(7)
    assert heard == [("one", 7), ("two", 7)]
    assert logged == ["critical: news of the daemon: counted could not be acted on"]


def test_news_without_subscribers_is_no_error() -> None:
    DaemonNews().sites_missed()


def test_what_a_child_hears_is_told_with_the_listener_that_heard_it(stage: Any) -> None:
    s = stage().started_ready()
    heard: list[tuple[bytes, str]] = []
    s.news.heard.subscribe(lambda body, listener: heard.append((body, listener)))
    process = s.reactor.processes[0]
    process.child.says(commands.Heard, body=b"x", way="broker:61613")
    assert heard == [(b"x", f"{process.spec.incarnation} broker:61613")]


def test_a_child_that_misses_a_site_tells_so(stage: Any) -> None:
    s = stage().started_ready()
    missed: list[bool] = []
    s.news.sites_missed.subscribe(lambda: missed.append(True))
    s.reactor.processes[0].child.says(commands.RefreshSites)
    assert missed == [True]


def test_news_that_nobody_can_act_on_cost_no_child(stage: Any, logged: list[str]) -> None:
    s = stage().started_ready()

    def fails(body: bytes, listener: str) -> None:
        raise ValueError

    s.news.heard.subscribe(fails)
    child = s.reactor.processes[0].child
    child.says(commands.Heard, body=b"x", way="w")
    assert "critical: news of the daemon: heard could not be acted on" in logged
    child.beat(settled=3)
    assert s.group()["children"][0]["state"] == "queue"
