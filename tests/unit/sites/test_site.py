"""Site: the daemon's settings with the site's own over them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snqd.config.settings import Settings
from snqd.core.retry import RetryPolicy
from snqd.sites.site import Site

Load = Callable[[str], Settings]

DAEMON = """
[queue]
concurrency = 20
timeout = 100
max_retries = 9
retry_delay = 10
retry_max_delay = 1000
[handlers]
plain = x.Plain
strict = x.Strict
strict.er = x.Stricter
[handler:strict]
timeout = 60
concurrency = 5
max_retries = 2
retry_delay = 20
size = small
colour = red
[app:media]
dir = /srv
host = media.example
"""


@pytest.fixture
def site_of(settings_of: Load) -> Callable[[str], tuple[Site, Settings]]:
    def site_of(keys: str) -> tuple[Site, Settings]:
        settings = settings_of(f"{DAEMON}[site:a]\n{keys}")
        return Site(settings.sites["a"], settings), settings

    return site_of


SiteOf = Callable[[str], tuple[Site, Settings]]


def test_a_site_has_what_its_record_says(site_of: SiteOf) -> None:
    site, _ = site_of("server = a.example\nname = Site A\nweight = 2\n")
    assert (site.nickname, site.server, site.name, site.weight) == ("a", "a.example", "Site A", 2.0)
    assert repr(site) == "<Site a>"


def test_settings_of_apps_are_the_sites_then_the_daemons_then_the_default(site_of: SiteOf) -> None:
    site, _ = site_of("app.media.dir = /own\napp.other.x = 1\n")
    assert site.config("media", "dir") == "/own"
    assert site.config("media", "host") == "media.example"
    assert site.config("other", "x") == "1"
    assert site.config("media", "port", default="80") == "80"
    assert site.config("none", "x") is None


@pytest.mark.parametrize("keys", ["", "app.media.dir = /own\n", "handler:strict.timeout = 5\n"])
def test_what_a_site_does_not_touch_is_the_daemons_own_record(site_of: SiteOf, keys: str) -> None:
    site, settings = site_of(keys)
    assert site.handler("plain") is settings.handlers["plain"]
    assert site.retry_policy("plain") is settings.handlers["plain"].retry


@pytest.mark.parametrize("keys", ["", "queue.max_retries = 1\n"])
def test_a_queue_that_nobody_handles_has_no_handler_but_a_policy(site_of: SiteOf, keys: str) -> None:
    site, _ = site_of(keys)
    assert site.handler("none") is None
    assert site.retry_policy("none") == RetryPolicy(1 if keys else 9, 10.0, 1000.0)


def test_a_site_switches_a_handler_off_for_itself(site_of: SiteOf) -> None:
    site, settings = site_of("handlers.strict = off\nqueue.max_retries = 1\n")
    assert site.handler("strict") is None
    assert site.handler("plain") is not None
    assert "strict" in settings.handlers


def test_a_sites_own_keys_of_a_handler_win(site_of: SiteOf) -> None:
    site, settings = site_of(
        "handler:strict.timeout = 30s\nhandler:strict.concurrency = 1\nhandler:strict.max_retries = 0\n"
        "handler:strict.retry_delay = 5\nhandler:strict.size = large\nhandler:strict.er.size = huge\n"
    )
    handler = site.handler("strict")
    assert handler is not None
    assert (handler.timeout, handler.concurrency, handler.retry) == (30.0, 1, RetryPolicy(0, 5.0, 1000.0))
    assert handler.options == {"size": "large", "colour": "red"}
    assert settings.handlers["strict"].options == {"size": "small", "colour": "red"}
    assert site.retry_policy("strict") == handler.retry
    stricter = site.handler("strict.er")
    assert stricter is not None
    assert stricter.options == {"size": "huge"}


def test_a_sites_queue_keys_replace_the_daemons_but_not_what_the_handlers_section_sets(site_of: SiteOf) -> None:
    site, settings = site_of("queue.max_retries = 5\nqueue.retry_delay = 1\nqueue.retry_max_delay = 50\n")
    assert site.retry_policy("plain") == RetryPolicy(5, 1.0, 50.0)
    assert site.retry_policy("strict") == RetryPolicy(2, 20.0, 50.0)
    handler = site.handler("plain")
    assert handler is not None
    assert handler.options is settings.handlers["plain"].options


def test_the_narrowest_key_wins(site_of: SiteOf) -> None:
    site, _ = site_of("queue.max_retries = 5\nhandler:strict.max_retries = 1\nhandler:plain.retry_delay = 3\n")
    assert site.retry_policy("strict").max_retries == 1
    assert site.retry_policy("plain") == RetryPolicy(5, 3.0, 1000.0)


def test_layering_is_done_once(site_of: SiteOf) -> None:
    site, _ = site_of("handler:strict.timeout = 30\nhandlers.plain = off\n")
    assert site.handler("strict") is site.handler("strict")
    assert site.handler("plain") is None
    assert site.handler("plain") is None
