"""The configuration in a child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from snqd.child.configuration import BIG_CHARS, ChildConfiguration, ParsedChange
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.errors import ConfigError
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.version import VERSION

MAIN = Path("/f/snq.ini")
TEXT = "[snqd]\nid = t\n[handlers]\nmail = exec: true\n"
SITE = "/f/d/a.ini"


class Threads:
    """:ivar calls: how many functions were called in a thread."""

    calls = 0

    def __call__(self, function: Any, *arguments: Any) -> Deferred[Any]:
        self.calls += 1
        return maybeDeferred(function, *arguments)


def configuration(start: str = "", threads: Any = None, text: str = TEXT) -> ChildConfiguration:
    sources = Sources(MAIN, {str(MAIN): text, SITE: "[site:alpha]\n"})
    spec = ChildSpec(VERSION, sources.to_json(), None, None, "main", 1, "t.main.1", "t.main.1-x", "normal", start=start)
    return ChildConfiguration(spec, threads or Threads())


def parsed(child: ChildConfiguration, *gone: str, **files: str) -> ParsedChange:
    named = {SITE if name == "site" else str(MAIN): text for name, text in files.items()}
    seen: list[Any] = []
    child.parse(SourceChanges(named, gone), "digest").addBoth(seen.append)
    assert not isinstance(seen[0], Failure), seen[0]
    change: ParsedChange = seen[0]
    return change


def used(child: ChildConfiguration, *gone: str, **files: str) -> Settings:
    child.use(parsed(child, *gone, **files))
    return child.settings


def test_a_site_that_changed_is_read_alone_and_holds_once_it_is_used() -> None:
    child = configuration()
    before = child.settings
    change = parsed(child, site="[site:alpha]\nname = A\n")
    assert child.settings is before
    assert child.digest == Sources(MAIN, {str(MAIN): TEXT, SITE: "[site:alpha]\n"}).digest
    child.use(change)
    assert child.digest == "digest"
    assert child.settings.sites["alpha"].name == "A"
    assert child.settings.handlers is before.handlers
    assert parsed(child, SITE).settings.sites == {}


def test_with_the_main_file_come_all() -> None:
    child = configuration()
    after = used(child, main=TEXT + "feed = exec: true\n")
    assert set(after.handlers) == {"mail", "feed"}
    assert after.sites == {}
    assert set(used(child, site="[site:beta]\nhandlers.feed = off\n").sites) == {"beta"}


def test_what_is_wrong_changes_nothing() -> None:
    child = configuration()
    failures: list[Any] = []
    child.parse(SourceChanges({SITE: "[site:alpha]\nwieght = 2\n"}), "digest").addErrback(failures.append)
    assert failures[0].check(ConfigError)
    assert child.settings.sites["alpha"].name == "alpha"


def test_what_takes_a_fresh_daemon_stays_as_when_it_started() -> None:
    child = configuration(start=TEXT, text=TEXT.replace("id = t", "id = t\nstate_dir = elsewhere"))
    assert child.settings.daemon.state_dir == Path("/f/state")
    after = used(child, main=TEXT.replace("id = t", "id = t\nstate_dir = there\ndrain_timeout = 3"))
    assert after.daemon.state_dir == Path("/f/state")
    assert after.daemon.drain_timeout == 3


def test_much_text_is_parsed_in_a_thread() -> None:
    threads = Threads()
    child = configuration(threads=threads)
    parsed(child, site="[site:alpha]\n")
    assert threads.calls == 0
    parsed(child, site="[site:alpha]\n" + "# more\n" * (BIG_CHARS // 6))
    assert threads.calls == 1
