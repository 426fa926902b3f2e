"""[site:NAME] and [app:NAME]: flat records, and what a site may not say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snqd.config.settings import Settings, SiteSettings
from snqd.config.site_sections import queue_and_key

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

HANDLERS = "[handlers]\ngreet = x.G\nquiet = off\n[handler:greet]\ntimeout = 60\nconcurrency = 5\n[site:a]\n"


def test_a_site_that_says_nothing_is_named_like_its_key(settings_of: Load) -> None:
    sites = settings_of("[site:a]\nserver =\n", {"/etc/d/b.ini": "[site:b]\n"}).sites
    assert sites == {
        "a": SiteSettings("a", "/etc/snq.ini", server="a", name="a", weight=1.0),
        "b": SiteSettings("b", "/etc/d/b.ini", server="b", name="b", weight=1.0),
    }


def test_a_site_keeps_what_it_sets_for_itself_as_text(settings_of: Load) -> None:
    site = settings_of(
        HANDLERS + "server = a.example\nname = Site A\nweight = 2\nqueue.max_retries = 3\nqueue.retry_delay = 1m\n"
        "handlers.greet = off\nhandler:greet.timeout = 30s\nhandler:greet.Size = 5\napp.media.dir.tmp = /tmp\n"
        "app.media.empty =\nqueue.retry_max_delay =\nhandlers.quiet = off\nhandler:quiet.timeout = 900\n"
    ).sites["a"]
    assert (site.server, site.name, site.weight) == ("a.example", "Site A", 2.0)
    assert site.overrides == {
        "queue.max_retries": "3",
        "queue.retry_delay": "1m",
        "handlers.greet": "off",
        "handler:greet.timeout": "30s",
        "handler:greet.Size": "5",
        "app.media.dir.tmp": "/tmp",
    }


def test_settings_of_apps_are_text(settings_of: Load) -> None:
    assert settings_of("[app:media]\nDir = /srv\nempty =\n[app:Other app]\n").apps == {
        "media": {"Dir": "/srv"},
        "Other app": {},
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("weight = 0", "weight: 0 is out of range: write 0.001 to 1000"),
        ("wieght = 1", "wieght: unknown key (did you mean weight?): correct or remove it"),
        (
            "queue.max_retrys = 1",
            "queue.max_retrys: unknown key (did you mean queue.max_retries?): correct or remove it",
        ),
        ("queue.lease = 5", "queue.lease: lease of [queue] is the daemon's alone: remove it here"),
        (
            "queue.retry_delay = soon",
            "queue.retry_delay: 'soon' is no duration: write seconds, or a number with s, m or h, such as 90 or 15m",
        ),
        ("handlers.greet = x.H", "handlers.greet: a site may only switch a handler off: write off or remove it"),
        (
            "handlers.gret = off",
            "handlers.gret: no handler is configured for queue gret (did you mean greet?): correct or remove it",
        ),
        (
            "handler:gret.timeout = 5",
            "handler:gret.timeout: no handler is configured for queue gret (did you mean greet?): correct or remove it",
        ),
        ("handler:greet = 5", "handler:greet: names no key: write handler:QUEUE.KEY"),
        ("handler:greet.timeout = 0", "handler:greet.timeout: 0 is out of range: write 0.001 to 31536000 seconds"),
        (
            "handler:greet.timeout = 2m",
            "handler:greet.timeout: 2m is above the daemon's 60: lower it, or raise [handler:greet] timeout",
        ),
        (
            "handler:greet.concurrency = 6",
            "handler:greet.concurrency: 6 is above the daemon's 5: lower it, or raise [handler:greet] concurrency",
        ),
        (
            "handler:greet.max_retries = 11",
            "handler:greet.max_retries: 11 is above the daemon's 10: lower it, or raise [handler:greet] max_retries",
        ),
        (
            "handler:greet.threads = 1",
            "handler:greet.threads: threads is the daemon's to set, in [handler:greet]: remove it here",
        ),
        (
            "handler:greet.http_allow = ::1",
            "handler:greet.http_allow: http_allow is the daemon's to set, in [handler:greet]: remove it here",
        ),
        (
            "handler:greet.weight = 2",
            "handler:greet.weight: weight is the daemon's to set, in [handler:greet]: remove it here",
        ),
        (
            "handler:greet.ordered = site",
            "handler:greet.ordered: ordered is the daemon's to set, in [handler:greet]: remove it here",
        ),
        ("handler:greet.Timeout = 5", "handler:greet.Timeout: unknown key: write handler:greet.timeout"),
        ("app.media = 5", "app.media: names no setting of an app: write app.NAME.KEY"),
        ("app..x = 5", "app..x: names no setting of an app: write app.NAME.KEY"),
        (
            "queue.retry_delay = 2h",
            "queue.retry_delay: 7200 seconds are more than the retry_max_delay that applies, 3600: "
            "lower the one or raise the other",
        ),
        (
            "handler:greet.retry_delay = 2h",
            "handler:greet.retry_delay: 7200 seconds are more than the retry_max_delay that applies, 3600: "
            "lower the one or raise the other",
        ),
        ("server = a/b", "server: 'a/b' is no server name: write a host name, at most 255 characters, without a slash"),
    ],
)
def test_what_a_site_may_not_say_is_refused(problems_of: Problems, line: str, problem: str) -> None:
    assert problems_of(HANDLERS + line + "\n") == [f"/etc/snq.ini:8: [site:a] {problem}"]


def test_a_site_may_wait_longer_where_it_raises_the_limit(settings_of: Load) -> None:
    site = settings_of(HANDLERS + "queue.retry_max_delay = 3h\nhandler:greet.retry_delay = 2h\n").sites["a"]
    assert site.overrides["handler:greet.retry_delay"] == "2h"


def test_without_a_limit_of_its_own_a_handler_has_the_queues_concurrency(problems_of: Problems) -> None:
    assert problems_of("[handlers]\nq = x.Q\n[site:a]\nhandler:q.concurrency = 51\n") == [
        "/etc/snq.ini:4: [site:a] handler:q.concurrency: 51 is above the daemon's 50: "
        "lower it, or raise [handler:q] concurrency"
    ]


def test_a_site_that_is_defined_twice_is_refused_with_both_places(problems_of: Problems) -> None:
    assert problems_of("[site:a]\n", {"/etc/d/a.ini": "\n[site:a]\n"}) == [
        "/etc/d/a.ini:2: [site:a]: is defined already, in /etc/snq.ini:1: remove one of the two"
    ]


def test_a_site_file_defines_sites_only(problems_of: Problems) -> None:
    assert problems_of("", {"/etc/d/a.ini": "[site:a]\n[handlers]\nq = x.Y\n", "/etc/d/b.ini": "# nothing\n"}) == [
        "/etc/d/a.ini:2: [handlers]: files of [sites] dir define sites only: move it to /etc/snq.ini",
        "/etc/d/b.ini: defines no site: add a [site:NAME] section or remove the file",
    ]


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("handler:a.timeout", ("a", "timeout")),
        ("handler:a.smtp.host", ("a", "smtp.host")),
        ("handler:a.b.timeout", ("a.b", "timeout")),
        ("handler:a.b.c.d", ("a.b", "c.d")),
        ("handler:c.timeout", None),
        ("handler:a.", None),
        ("handler:a", None),
        ("handler:.a", None),
    ],
)
def test_a_dotted_override_belongs_to_the_longest_queue(override: str, found: tuple[str, str] | None) -> None:
    assert queue_and_key(override, {"a", "a.b"}) == found
