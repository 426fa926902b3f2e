"""Reading the sites of a few files again, in place of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.load import load, load_sites, load_until_restart
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges, Sources
from snqd.core.errors import ConfigError

MAIN = Path("/f/snq.ini")
TEXT = "[handlers]\nmail = exec: true\nfeed = off\n[site:home]\n"
FILES = {
    str(MAIN): TEXT,
    "/f/d/a.ini": "[site:alpha]\nname = A\n",
    "/f/d/b.ini": "[site:beta]\n[site:gamma]\nhandler:mail.timeout = 5\n",
}


@pytest.fixture
def before() -> Settings:
    return load(Sources(MAIN, FILES), plugins={})


def again(before: Settings, gone: tuple[str, ...] = (), **files: str) -> Settings:
    changed = {f"/f/d/{name}.ini": text for name, text in files.items()}
    return load_sites(before, Sources(MAIN, {str(MAIN): TEXT, **changed}), gone, plugins={})


def test_only_the_sites_of_changed_files_are_read(before: Settings) -> None:
    after = again(before, a="[site:alpha]\nname = B\n")
    assert after.sites["alpha"].name == "B"
    assert after.sites["beta"] is before.sites["beta"]
    assert after.handlers is before.handlers
    assert set(after.sites) == {"home", "alpha", "beta", "gamma"}


def test_it_says_what_a_whole_load_says(before: Settings) -> None:
    text = "[site:delta]\nhandlers.mail = off\nhandler:feed.timeout = 3\n"
    after = again(before, gone=("/f/d/b.ini",), c=text)
    files = {name: text for name, text in FILES.items() if name != "/f/d/b.ini"}
    whole = load(Sources(MAIN, {**files, "/f/d/c.ini": text}), plugins={})
    assert after.sites == whole.sites


def test_a_site_may_move_to_another_file(before: Settings) -> None:
    after = again(before, a="[site:beta]\n", b="[site:alpha]\n")
    assert after.sites["beta"].source == "/f/d/a.ini"
    assert "gamma" not in after.sites


def test_a_site_that_another_file_defines_is_refused(before: Settings) -> None:
    with pytest.raises(ConfigError) as caught:
        again(before, c="[site:alpha]\n")
    assert caught.value.problems == [
        "/f/d/c.ini:1: [site:alpha]: is defined already, in /f/d/a.ini: remove one of the two"
    ]


def test_mistakes_are_told_as_ever(before: Settings) -> None:
    with pytest.raises(ConfigError) as caught:
        again(before, a="[site:alpha]\nhandler:mail.timeout = 601\n")
    assert caught.value.problems[0].startswith("/f/d/a.ini:2: [site:alpha] handler:mail.timeout: 601 is above")


def test_what_holds_until_the_daemons_end_is_read_from_the_main_file_alone() -> None:
    text = "[snqd]\nid = t\nstate_dir = s\n[sites]\ndir = nowhere\n[handlers]\nmail = gone.Class\n"
    daemon, queue = load_until_restart(MAIN, text)
    assert (daemon.id, daemon.state_dir) == ("t", Path("/f/s"))
    assert queue.db_file == Path("/f/s/queue.db")


def test_changes_lead_from_old_sources_to_new_ones() -> None:
    old = Sources(MAIN, FILES)
    new = Sources(MAIN, {str(MAIN): TEXT, "/f/d/a.ini": "[site:x]\n", "/f/d/c.ini": "[site:y]\n"})
    changes = new.changes_since(old)
    assert changes == SourceChanges({"/f/d/a.ini": "[site:x]\n", "/f/d/c.ini": "[site:y]\n"}, ("/f/d/b.ini",))
    assert SourceChanges.from_json(changes.to_json()) == changes
    assert changes
    assert not new.changes_since(new)
    assert changes.size_chars() == 18
